package main

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

type repository struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec spec `json:"spec"`
}

type spec struct {
	Postgres         access                       `json:"postgres"`
	SidecarResources *corev1.ResourceRequirements `json:"sidecarResources"`
}

type access struct {
	Container, DataDirectory, SocketDirectory, User, Database, ConfigureBy string
	Port                                                                   int32
	PasswordSecretRef                                                      *struct{ Name, Key string }
	RunAsUser, RunAsGroup                                                  *int64
}

// facts is the annotation pgwarden.io/postgres.
type facts struct {
	Container       string `json:"container"`
	DataDirectory   string `json:"dataDirectory"`
	Port            int32  `json:"port"`
	SocketDirectory string `json:"socketDirectory"`
	User            string `json:"user"`
	Database        string `json:"database"`
	RunAsUser       int64  `json:"runAsUser"`
	RunAsGroup      int64  `json:"runAsGroup"`
	ConfiguredBy    string `json:"configuredBy"`
	DataVolume      string `json:"dataVolume"`
}

var reference = regexp.MustCompile(`\$\(([^)]+)\)`)
var leadingDigits = regexp.MustCompile(`^\d+`)

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

func findContainer(pod *corev1.Pod, wanted string) (int, error) {
	names := []string{"postgres", "database"}
	if wanted != "" {
		names = []string{wanted}
	}
	for _, name := range names {
		for n, container := range pod.Spec.Containers {
			if container.Name == name {
				return n, nil
			}
		}
	}
	if wanted == "" && len(pod.Spec.Containers) == 1 {
		return 0, nil
	}
	return 0, fmt.Errorf("spec.containers: none of these runs PostgreSQL")
}

func environment(container *corev1.Container) map[string]corev1.EnvVar {
	found := map[string]corev1.EnvVar{}
	for _, variable := range container.Env {
		found[variable.Name] = variable
	}
	return found
}

func settings(argv []string) map[string]string {
	found := map[string]string{}
	for n, word := range argv {
		text := ""
		switch {
		case word == "-c" && n+1 < len(argv):
			text = argv[n+1]
		case (strings.HasPrefix(word, "-c") || strings.HasPrefix(word, "--")) && strings.Contains(word, "="):
			text = word[2:]
		default:
			continue
		}
		if name, value, equals := strings.Cut(text, "="); equals {
			found[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")] = strings.TrimSpace(value)
		}
	}
	return found
}

func argv(container *corev1.Container) []string {
	return append(append([]string{}, container.Command...), container.Args...)
}

func dataDirectory(container *corev1.Container, a access) (string, error) {
	if a.DataDirectory != "" {
		return path.Clean(a.DataDirectory), nil
	}
	words, found := argv(container), ""
	for n, word := range words {
		switch {
		case word == "-D" && n+1 < len(words):
			found = words[n+1]
		case strings.HasPrefix(word, "-D/"):
			found = word[2:]
		case strings.HasPrefix(word, "--pgdata="):
			found = strings.TrimPrefix(word, "--pgdata=")
		}
	}
	if named := settings(words)["data_directory"]; named != "" {
		found = named
	}
	if found != "" {
		return path.Clean(found), nil
	}
	variables := environment(container)
	for _, name := range []string{"PATRONI_POSTGRESQL_DATA_DIR", "PGDATA"} {
		variable, there := variables[name]
		if !there {
			continue
		}
		value := reference.ReplaceAllStringFunc(variable.Value, func(text string) string {
			return variables[text[2:len(text)-1]].Value
		})
		if variable.ValueFrom != nil || !strings.HasPrefix(value, "/") {
			return "", fmt.Errorf("env %s: no path is known from it", name)
		}
		return path.Clean(value), nil
	}
	if official, major, _ := image(container.Image); official && major >= 18 {
		return fmt.Sprintf("/var/lib/postgresql/%d/docker", major), nil
	}
	return "/var/lib/postgresql/data", nil
}

func image(text string) (official bool, major int, alpine bool) {
	bare, _, _ := strings.Cut(text, "@")
	name, tag, _ := strings.Cut(bare[strings.LastIndex(bare, "/")+1:], ":")
	major, _ = strconv.Atoi(leadingDigits.FindString(tag))
	return name == "postgres", major, strings.Contains(tag, "alpine")
}

func holding(container *corev1.Container, directory string) *corev1.VolumeMount {
	var deepest *corev1.VolumeMount
	for n := range container.VolumeMounts {
		mount := &container.VolumeMounts[n]
		outer := normal(mount.MountPath)
		covers := normal(directory) == outer || strings.HasPrefix(normal(directory), strings.TrimSuffix(outer, "/")+"/")
		if covers && (deepest == nil || len(outer) > len(normal(deepest.MountPath))) {
			deepest = mount
		}
	}
	return deepest
}

func normal(folder string) string {
	clean := path.Clean(folder)
	if clean == "/var/run" || strings.HasPrefix(clean, "/var/run/") {
		return strings.TrimPrefix(clean, "/var")
	}
	return clean
}

func user(pod *corev1.Pod, container *corev1.Container, a access) (uid, gid int64, err error) {
	var given, group *int64
	if c := container.SecurityContext; c != nil {
		given, group = c.RunAsUser, c.RunAsGroup
	}
	if c := pod.Spec.SecurityContext; c != nil {
		if given == nil {
			given = c.RunAsUser
		}
		if group == nil {
			group = c.RunAsGroup
		}
	}
	if given != nil && *given != 0 {
		if group == nil {
			group = given
		}
		return *given, *group, nil
	}
	if a.RunAsUser != nil {
		return *a.RunAsUser, *a.RunAsUser, nil
	}
	official, _, alpine := image(container.Image)
	if !official {
		return 0, 0, fmt.Errorf("the user id of PostgreSQL cannot be known from this image")
	}
	if alpine {
		return 70, 70, nil
	}
	return 999, 999, nil
}

func takesArguments(container *corev1.Container) bool {
	isServer := func(word string) bool {
		return strings.HasPrefix(word, "-") || path.Base(word) == "postgres" || path.Base(word) == "postmaster"
	}
	official, _, _ := image(container.Image)
	words := argv(container)
	if len(container.Command) > 0 {
		program := path.Base(words[0])
		if program == "postgres" || program == "postmaster" {
			return true
		}
		return program == "docker-entrypoint.sh" && len(words) > 1 && isServer(words[1])
	}
	if len(words) == 0 {
		return official
	}
	if official {
		return isServer(words[0])
	}
	return path.Base(words[0]) == "postgres" || (strings.HasPrefix(words[0], "-") && len(settings(words)) > 0)
}
