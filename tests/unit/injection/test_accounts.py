"""With web identity a pod needs a service account that has the role: the Repository's, unless the pod has its own."""

from __future__ import annotations

import copy

import pytest

from pgwarden.injection.pipeline import decision_on

S3 = {"keyType": "web-id", "roleARN": "arn:aws:iam::1:role/backups", "bucket": "b", "endpoint": "e", "region": "r"}


def accounts(operations):
    return [each["value"] for each in operations if each["path"] == "/spec/serviceAccountName"]


@pytest.fixture
def found(repository):
    return repository(storageType="s3", serviceAccountName="backups", s3=S3)


def running_as(pod, account):
    made = copy.deepcopy(pod())
    made["spec"]["serviceAccountName"] = account
    return made


def test_the_default_account_gives_way_to_the_repositorys(pod, found, operations):
    assert accounts(operations(running_as(pod, "default"), found)) == ["backups"]


def test_an_account_of_the_pods_own_stays_and_a_warning_says_what_it_needs(pod, found, operations, settings):
    mine = running_as(pod, "billing")
    assert accounts(operations(mine, found)) == []
    warning = "keyType web-id: the pod runs as service account billing, which also needs the role for the bucket"
    assert decision_on(mine, found, settings).warnings == (warning,)


def test_a_second_look_adds_nothing(pod, found, operations, applied):
    once = applied(running_as(pod, "default"), operations(running_as(pod, "default"), found))
    assert operations(once, found) == []


def test_with_another_key_type_the_account_is_none_of_our_business(pod, repository, operations):
    shared = repository(storageType="s3", serviceAccountName="backups", s3=S3 | {"keyType": "auto", "roleARN": ""})
    patched = operations(running_as(pod, "default"), shared)
    assert accounts(patched) == []
    assert "AWS_" not in str(patched)
