// Enforces the NetworkPolicies of a local cluster on one node: the controller of sigs.k8s.io/kube-network-policies,
// which judges the first packet of each connection.
//
// Its own program knows a Service account's token alone, so this one reads a kubeconfig. Its own nftables rules need
// CONFIG_NFT_QUEUE, which not every kernel has: localcluster/netpol.py sends the packets to the queue by iptables.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with the API server's address and this node's keys")
	node := flag.String("node", "", "name of the node")
	queue := flag.Int("queue", 100, "number of the netfilter queue")
	flag.Parse()

	// Pods' addresses come from the API server. The machine's own container runtime is not asked:
	// this is no descriptor of a socket.
	os.Setenv("NRI_PLUGIN_SOCKET", "none")
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		nil, nil, nil, nil, // of the AdminNetworkPolicies
		networkpolicy.Config{NodeName: *node, QueueID: *queue},
	)
	if err != nil {
		log.Fatal(err)
	}
	factory.Start(ctx.Done())
	if err := controller.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
