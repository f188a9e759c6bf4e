// Command peer is the webhook that most projects would write: controller-runtime, typed pods, its generic diff.
//
// It injects what pgwarden's webhook injects (bench/webhook/equal.py holds the two together), out of Repositories that
// it has in memory already, as an informer's cache would. Metrics are on, as they always are in controller-runtime.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

type injector struct {
	image        string
	decoder      admission.Decoder
	repositories map[string]repository
}

func (i *injector) Handle(ctx context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := i.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	name := pod.Labels["pgwarden.io/repository"]
	if name == "" {
		return admission.Allowed("no label")
	}
	found, there := i.repositories[request.Namespace+"/"+name]
	if !there {
		return admission.Denied("there is no Repository of this name")
	}
	if err := inject(pod, name, found.Spec, i.image); err != nil {
		return admission.Denied(err.Error())
	}
	ctrllog.FromContext(ctx).Info("injected", "pod", pod.Name, "repository", name)
	injected, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, injected)
}

func main() {
	port := flag.Int("port", 9443, "")
	certificates := flag.String("certificates", "", "folder of tls.crt and tls.key")
	file := flag.String("repositories", "", "JSON list of Repositories")
	image := flag.String("image", "", "")
	flag.Parse()
	ctrllog.SetLogger(zap.New(zap.WriteTo(os.Stdout)))
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	var listed []repository
	if err := json.Unmarshal(text, &listed); err != nil {
		log.Fatal(err)
	}
	handler := &injector{image: *image, decoder: admission.NewDecoder(scheme.Scheme), repositories: map[string]repository{}}
	for _, each := range listed {
		handler.repositories[each.Metadata.Namespace+"/"+each.Metadata.Name] = each
	}
	server := webhook.NewServer(webhook.Options{
		Host: "127.0.0.1", Port: *port, CertDir: *certificates,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
	})
	server.Register("/mutate", &webhook.Admission{Handler: handler})
	if err := server.Start(signals.SetupSignalHandler()); err != nil {
		log.Fatal(err)
	}
}
