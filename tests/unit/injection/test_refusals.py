"""What is refused, and the sentence that a user reads: the field, what is wrong, the way out."""

import pytest

from pgwarden.api import names
from pgwarden.api.faults import summary
from pgwarden.injection.decide import Inject, Refuse, Skip
from pgwarden.injection.pipeline import decision_on
from pgwarden.injection.pods import OWN_VOLUMES

UNKNOWN = {"image": "registry.example/pg:1"}
LOOK = (
    "run `psql -Atc 'show data_directory'` and `stat -c '%u %g'` of that folder in its container, and set the "
    "Repository's spec.postgres.dataDirectory, runAsUser and runAsGroup to them"
)

TABLE = {
    "archive_command": (
        {"args": ["-c", "archive_command=cp %p /x"]},
        {},
        (
            'spec.containers[0].args[1]: "cp %p /x": pgwarden sets archive_command itself; remove it, '
            "or the label pgwarden.io/repository from the pod"
        ),
    ),
    "restore_command among the command": (
        {"command": ["postgres", "--restore-command=x"]},
        {},
        (
            'spec.containers[0].command[1]: "x": pgwarden sets restore_command itself; remove it, '
            "or the label pgwarden.io/repository from the pod"
        ),
    ),
    "archive_mode off": (
        {"args": ["-c", "archive_mode=OFF"]},
        {},
        'spec.containers[0].args[1]: "OFF": archive_mode=off archives nothing; remove it: pgwarden sets archive_mode=on',
    ),
    "archive_mode always": (
        {"args": ["-carchive_mode=always"]},
        {},
        (
            'spec.containers[0].args[0]: "always": archive_mode=always archives from replicas too, '
            "which pgBackRest does not support; remove it: pgwarden sets archive_mode=on"
        ),
    ),
    "archive_library": (
        {"args": ["--archive_library=basic_archive"]},
        {},
        (
            'spec.containers[0].args[0]: "basic_archive": archive_library would replace archive_command, '
            "which pgwarden sets; remove it"
        ),
    ),
    "wal_level minimal": (
        {"args": ["postgres", "-c", "WAL_LEVEL=minimal"]},
        {},
        (
            'spec.containers[0].args[2]: "minimal": wal_level=minimal omits WAL that a restore needs; '
            "set replica or logical, or remove it"
        ),
    ),
    "no such container": (
        {},
        {"container": "pg"},
        'spec.containers: ["postgres"]: none of these is pg, the Repository\'s spec.postgres.container; correct one of the two',
    ),
    "data not on a volume": (
        {},
        {"dataDirectory": "/pgdata"},
        (
            'spec.containers[0].volumeMounts: ["/var/lib/postgresql/data"]: the data directory /pgdata of container postgres '
            "is on no volume, so its data would be lost with the container; mount a volume there, "
            "or set the Repository's spec.postgres.dataDirectory"
        ),
    ),
    "PGDATA from elsewhere": (
        {"env": [{"name": "PGDATA", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}]},
        {},
        (
            "spec.containers[0].env[PGDATA]: its value is not known before the pod runs; "
            "set the Repository's spec.postgres.dataDirectory"
        ),
    ),
    "official image without a version": (
        {"image": "postgres", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}]},
        {},
        (
            'spec.containers[0].image: "postgres": the tag does not name the version, and PostgreSQL 18 changed '
            "the data directory; set PGDATA"
        ),
    ),
    "unknown user": (
        UNKNOWN,
        {},
        (
            "spec.containers[0].securityContext.runAsUser: the user ID of PostgreSQL is not known for this image; "
            f"set securityContext.runAsUser, or {LOOK}"
        ),
    ),
    "root in an unknown image": (
        UNKNOWN | {"securityContext": {"runAsUser": 0}},
        {},
        (
            "spec.containers[0].securityContext.runAsUser: 0: the user ID of PostgreSQL is not known for this image; "
            f"set securityContext.runAsUser, or {LOOK}"
        ),
    ),
    "data directory of an unknown image": (
        UNKNOWN | {"securityContext": {"runAsUser": 5}, "volumeMounts": [{"name": "data", "mountPath": "/var/lib"}]},
        {},
        (f'spec.containers[0].image: "registry.example/pg:1": it is not known where this image keeps its data; {LOOK}'),
    ),
    "too old": (
        {"image": "postgres:11.5"},
        {},
        (
            'spec.containers[0].image: "postgres:11.5": PostgreSQL 11 is too old: pgwarden needs 14 or later; '
            "upgrade it, or remove the label pgwarden.io/repository from the pod"
        ),
    ),
    "the image's own volume hides the pod's": (
        {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}]},
        {},
        (
            'spec.containers[0].volumeMounts: ["/var/lib/postgresql"]: the image has a volume of its own at '
            "/var/lib/postgresql/data, which hides this one there: the data would be lost with the pod; "
            "mount the volume at /var/lib/postgresql/data"
        ),
    ),
    "data directory by an unknown variable": (
        {"args": ["-D", "$(WHERE)"]},
        {},
        (
            'spec.containers[0].args: "$(WHERE)": its value is not known before the pod runs; '
            "set the Repository's spec.postgres.dataDirectory"
        ),
    ),
    "our name": (
        {"name": "pgwarden"},
        {},
        'spec.containers[0].name: "pgwarden": this name is reserved for pgwarden; choose another',
    ),
    "our port": (
        {"ports": [{"containerPort": 8432}]},
        {},
        "spec.containers[0].ports: 8432: pgwarden's sidecar listens on this port; choose another",
    ),
    "subPathExpr of a variable from elsewhere": (
        {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data", "subPathExpr": "$(X)"}]},
        {},
        (
            'spec.containers[0].volumeMounts: ["$(X)"]: the container\'s env has no variable X, '
            "so the sidecar cannot mount this folder; add it"
        ),
    ),
}


@pytest.mark.parametrize(("container", "access", "sentence"), TABLE.values(), ids=TABLE.keys())
def test_refusal_names_field_and_way_out(container, access, sentence, pod, repository, settings):
    """Each sentence stands by itself."""
    decision = decision_on(pod(**container), repository(postgres=access), settings)
    assert isinstance(decision, Refuse), decision
    assert summary(decision.faults) == sentence
    assert all(fault.rule for fault in decision.faults)


def test_all_faults_come_at_once(pod, repository, settings):
    """One `kubectl apply`, all there is to mend."""
    broken = pod(args=["-c", "archive_mode=off", "-c", "wal_level=minimal"], image="x")
    decision = decision_on(broken, repository(postgres={"dataDirectory": "/elsewhere"}), settings)
    assert {fault.rule for fault in decision.faults} == {"archive-mode", "wal-level", "data-volume", "run-as-user"}


def test_what_else_is_at_fault_is_told_where_no_container_is_found(pod, repository, settings):
    two = pod(name="a", ports=[{"containerPort": 8432}])
    two["spec"]["containers"].append({"name": "pgwarden"})
    faults = decision_on(two, repository(), settings).faults
    assert [fault.field for fault in faults] == [
        "spec.containers", "spec.containers[0].ports", "spec.containers[1].name",
    ]  # fmt: skip


def test_every_variable_that_is_missing_is_told(pod, repository, settings):
    mount = {"name": "data", "mountPath": "/var/lib/postgresql/data", "subPathExpr": "$(X)/$(Y)"}
    faults = decision_on(pod(volumeMounts=[mount]), repository(), settings).faults
    assert len(faults) == 2
    assert all(any(f"variable {name}" in fault.message for fault in faults) for name in "XY")


@pytest.mark.parametrize(
    ("part", "field", "name"),
    [
        ("initContainers", "spec.initContainers[1].name", "pgwarden"),
        ("initContainers", "spec.initContainers[1].name", "pgwarden-tools"),
        *(("volumes", "spec.volumes[1].name", name) for name in sorted(OWN_VOLUMES)),
    ],
)
def test_what_a_user_calls_by_a_name_of_ours_is_refused_and_not_replaced(part, field, name, pod, repository, settings):
    taken = pod()
    taken["spec"].setdefault(part, [{"name": "prepare"}]).append({"name": name})
    (fault,) = decision_on(taken, repository(), settings).faults
    assert str(fault) == (
        f'{field}: "{name}": this name is reserved for pgwarden, which adds its own; remove it, or choose another name'
    )
    assert fault.rule == "taken"


@pytest.mark.parametrize("annotation", ["pgwarden.io/injected", "pgwarden.io/postgres"])
def test_a_pod_that_says_it_was_injected_may_carry_ours(annotation, pod, repository, settings):
    """A second look, or a copy of a live pod: ours is replaced in place, see test_reinvocation.py."""
    copied = pod()
    copied["metadata"]["annotations"] = {annotation: "x"}
    copied["spec"]["initContainers"] = [{"name": "pgwarden-tools"}, {"name": "pgwarden"}]
    copied["spec"]["volumes"] += [{"name": name} for name in sorted(OWN_VOLUMES)]
    assert isinstance(decision_on(copied, repository(), settings), Inject)


def test_ambiguous_containers_are_named(pod, repository, settings):
    """Neither postgres nor database, and more than one: a guess could back up the wrong thing."""
    two = pod(name="a")
    two["spec"]["containers"].append({"name": "b"})
    (fault,) = decision_on(two, repository(), settings).faults
    assert str(fault) == (
        'spec.containers: ["a", "b"]: none of these is named postgres, database or postgresql, '
        "or is the only one with port 5432; name the one in the Repository's spec.postgres.container"
    )


def test_absent_repository_is_refused(pod, settings):
    """A label that names nothing would be a database that nobody backs up."""
    (fault,) = decision_on(pod(), None, settings).faults
    assert str(fault) == (
        'metadata.labels[pgwarden.io/repository]: "hippo": there is no Repository of this name in namespace zoo; '
        "create it, or remove the label to run without backups"
    )


def test_unreadable_repository_is_refused(pod, repository, settings):
    """The schema keeps such a spec out; if it is there all the same, the pod is told so."""
    (fault,) = decision_on(pod(), repository(postgres={"port": "x"}), settings).faults
    assert "is invalid: Expected" in fault.message


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: metadata["labels"].pop("pgwarden.io/repository"),
        lambda metadata: metadata.update(annotations={"kubernetes.io/config.mirror": "x"}),
    ],
    ids=["no label", "mirror pod"],
)
def test_skipped(change, pod, settings):
    """Not ours to touch: let through as it is."""
    skipped = pod()
    change(skipped["metadata"])
    assert isinstance(decision_on(skipped, None, settings), Skip)


@pytest.mark.parametrize("value", ["on", "true", "1"])
def test_archive_mode_on_is_no_fault(value, pod, repository, settings):
    """It says what pgwarden says."""
    assert isinstance(decision_on(pod(args=["-c", f"archive_mode={value}"]), repository(), settings), Inject)


@pytest.mark.parametrize("label", sorted(value for name, value in vars(names).items() if name.startswith("LABEL_")))
def test_no_label_beside_that_of_the_repository_switches_the_injection_off(label, pod, repository, settings):
    labelled = pod()
    labelled["metadata"]["labels"].setdefault(label, "host")
    assert isinstance(decision_on(labelled, repository(), settings), Inject)
