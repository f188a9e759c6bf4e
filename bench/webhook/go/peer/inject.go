package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

const archive = "/pgwarden/tools/bin/pgbackrest-archive --config=/pgwarden/conf/pgbackrest.conf " +
	"--config-include-path=/pgwarden/conf/conf.d --stanza="

func inject(pod *corev1.Pod, stanza string, s spec, image string) error {
	a := s.Postgres
	index, err := findContainer(pod, a.Container)
	if err != nil {
		return err
	}
	container := &pod.Spec.Containers[index]
	found, err := examine(pod, container, a)
	if err != nil {
		return err
	}
	socket := holding(container, found.SocketDirectory)
	mounts := dataMounts(pod, container, holding(container, found.DataDirectory))
	sidecar := base(image, found, s.SidecarResources)
	complete(&sidecar, stanza, found, a, container, mounts, socket)
	volumes := volumes(stanza, socket == nil)
	pod.Spec.InitContainers = append([]corev1.Container{sidecar}, pod.Spec.InitContainers...)
	pod.Spec.Volumes = append(pod.Spec.Volumes, volumes...)
	mainMounts(container, found, socket == nil)
	container.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	if found.ConfiguredBy == "Arguments" {
		configure(container, stanza)
	}
	return annotate(pod, found, sidecar, volumes)
}

func examine(pod *corev1.Pod, container *corev1.Container, a access) (facts, error) {
	directory, err := dataDirectory(container, a)
	if err != nil {
		return facts{}, err
	}
	mount := holding(container, directory)
	if mount == nil {
		return facts{}, fmt.Errorf("the data directory %s is on no volume", directory)
	}
	uid, gid, err := user(pod, container, a)
	if err != nil {
		return facts{}, err
	}
	for name, value := range settings(argv(container)) {
		if name == "archive_command" || name == "restore_command" || name == "archive_library" ||
			(name == "archive_mode" && value != "on") || (name == "wal_level" && value == "minimal") {
			return facts{}, fmt.Errorf("%s is set by pgwarden", name)
		}
	}
	by := or(a.ConfigureBy, "Auto")
	if by == "Auto" {
		by = "AlterSystem"
		if takesArguments(container) {
			by = "Arguments"
		}
	}
	port := a.Port
	if port == 0 {
		port = 5432
	}
	return facts{
		Container: container.Name, DataDirectory: directory, Port: port, User: or(a.User, "postgres"),
		SocketDirectory: path.Clean(or(a.SocketDirectory, "/var/run/postgresql")), Database: or(a.Database, "postgres"),
		RunAsUser: uid, RunAsGroup: gid, ConfiguredBy: by, DataVolume: mount.Name,
	}, nil
}

func dataMounts(pod *corev1.Pod, container *corev1.Container, data *corev1.VolumeMount) []corev1.VolumeMount {
	persistent := map[string]bool{data.Name: true}
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil {
			persistent[volume.Name] = true
		}
	}
	kept := []corev1.VolumeMount{*data}
	for n := range container.VolumeMounts {
		if mount := &container.VolumeMounts[n]; mount != data && persistent[mount.Name] {
			kept = append(kept, *mount)
		}
	}
	for n := range kept {
		kept[n] = corev1.VolumeMount{
			Name: kept[n].Name, MountPath: kept[n].MountPath, SubPath: kept[n].SubPath,
			SubPathExpr: kept[n].SubPathExpr, ReadOnly: true,
		}
	}
	return kept
}

func base(image string, f facts, resources *corev1.ResourceRequirements) corev1.Container {
	if resources == nil {
		resources = &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("20m"), "memory": resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("256Mi")},
		}
	}
	return corev1.Container{
		Name: "pgwarden", Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Resources: *resources,
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(f.RunAsUser), RunAsGroup: ptr.To(f.RunAsGroup),
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func complete(c *corev1.Container, stanza string, f facts, a access, from *corev1.Container, data []corev1.VolumeMount, socket *corev1.VolumeMount) {
	c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	c.Command = []string{"python3", "-m", "agent"}
	install := []string{"python3", "-m", "agent", "install-tools", "--to", "/pgwarden/tools-target"}
	c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: install}}}
	c.Env = sidecarEnvironment(stanza, f, a, from, data)
	c.Ports = []corev1.ContainerPort{
		{Name: "pgbackrest", ContainerPort: 8432, Protocol: corev1.ProtocolTCP},
		{Name: "pgwarden-agent", ContainerPort: 8433, Protocol: corev1.ProtocolTCP},
	}
	check := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"python3", "-m", "agent", "--check"}}}
	c.LivenessProbe = &corev1.Probe{
		ProbeHandler: check, TimeoutSeconds: 10, InitialDelaySeconds: 20, PeriodSeconds: 30, FailureThreshold: 3,
	}
	c.VolumeMounts = append([]corev1.VolumeMount{
		{Name: "pgwarden-tools", MountPath: "/pgwarden/tools-target"},
		{Name: "pgwarden-source", MountPath: "/pgwarden/source", ReadOnly: true},
		{Name: "pgwarden-conf", MountPath: "/pgwarden/conf"},
		{Name: "pgwarden-work", MountPath: "/pgwarden/work"},
	}, data...)
	if socket == nil {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "pgwarden-socket", MountPath: f.SocketDirectory})
	} else {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: socket.Name, MountPath: socket.MountPath})
	}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "pgwarden-tmp", MountPath: "/tmp"})
}

func sidecarEnvironment(stanza string, f facts, a access, from *corev1.Container, data []corev1.VolumeMount) []corev1.EnvVar {
	var variables []corev1.EnvVar
	wanted := map[string]bool{}
	for _, mount := range data {
		for _, match := range reference.FindAllStringSubmatch(mount.SubPathExpr, -1) {
			wanted[match[1]] = true
		}
	}
	for _, variable := range from.Env {
		if wanted[variable.Name] {
			variables = append(variables, variable)
		}
	}
	for _, pair := range [][2]string{
		{"PGWARDEN_ROLE", "postgres"}, {"PGWARDEN_STANZA", stanza}, {"PGWARDEN_PG_DATA", f.DataDirectory},
		{"PGWARDEN_PG_PORT", strconv.Itoa(int(f.Port))}, {"PGWARDEN_PG_SOCKET", f.SocketDirectory},
		{"PGWARDEN_PG_USER", f.User}, {"PGWARDEN_PG_DATABASE", f.Database}, {"PGWARDEN_CONFIGURE_BY", f.ConfiguredBy},
	} {
		variables = append(variables, corev1.EnvVar{Name: pair[0], Value: strings.ReplaceAll(pair[1], "$(", "$$(")})
	}
	if secret := a.PasswordSecretRef; secret != nil {
		selector := &corev1.SecretKeySelector{Key: or(secret.Key, "password"), Optional: ptr.To(true)}
		selector.Name = secret.Name
		from := &corev1.EnvVarSource{SecretKeyRef: selector}
		variables = append(variables, corev1.EnvVar{Name: "PGPASSWORD", ValueFrom: from})
	}
	return variables
}

func volumes(stanza string, withSocket bool) []corev1.Volume {
	empty := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	conf := empty("pgwarden-conf")
	conf.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr.To(resource.MustParse("16Mi"))}
	configMap := &corev1.ConfigMapProjection{Optional: ptr.To(true), Items: []corev1.KeyToPath{{Key: "pod.conf", Path: "pod.conf"}}}
	configMap.Name = stanza + "-pgbackrest"
	secret := &corev1.SecretProjection{Optional: ptr.To(true)}
	secret.Name = stanza + "-pgbackrest-pods"
	for _, key := range []string{"ca.crt", "tls.crt", "tls.key", "credentials.conf", "storage-ca.crt"} {
		secret.Items = append(secret.Items, corev1.KeyToPath{Key: key, Path: key})
	}
	source := corev1.Volume{Name: "pgwarden-source", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To[int32](0o444), Sources: []corev1.VolumeProjection{{ConfigMap: configMap}, {Secret: secret}},
	}}}
	all := []corev1.Volume{empty("pgwarden-tools"), source, conf, empty("pgwarden-work"), empty("pgwarden-tmp")}
	if withSocket {
		all = append(all, empty("pgwarden-socket"))
	}
	return all
}

func mainMounts(c *corev1.Container, f facts, withSocket bool) {
	c.VolumeMounts = append(c.VolumeMounts,
		corev1.VolumeMount{Name: "pgwarden-tools", MountPath: "/pgwarden/tools", ReadOnly: true},
		corev1.VolumeMount{Name: "pgwarden-conf", MountPath: "/pgwarden/conf", ReadOnly: true},
		corev1.VolumeMount{Name: "pgwarden-work", MountPath: "/pgwarden/work"},
	)
	if withSocket {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "pgwarden-socket", MountPath: f.SocketDirectory})
	}
}

func configure(c *corev1.Container, stanza string) {
	there := settings(argv(c))
	if len(c.Command) == 0 && len(c.Args) == 0 {
		c.Args = []string{"postgres"}
	}
	for _, pair := range [][2]string{
		{"archive_mode", "on"}, {"archive_command", archive + stanza + ` archive-push "%p"`},
		{"restore_command", archive + stanza + ` archive-get %f "%p"`},
	} {
		if _, given := there[pair[0]]; !given {
			c.Args = append(c.Args, "-c", pair[0]+"="+pair[1])
		}
	}
}

func annotate(pod *corev1.Pod, f facts, parts ...any) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	all, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations["pgwarden.io/injected"] = fmt.Sprintf("%x", sha256.Sum256(all))[:16]
	pod.Annotations["pgwarden.io/postgres"] = string(text)
	return nil
}
