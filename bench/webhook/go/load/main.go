// Command load sends AdmissionReviews over TLS with keep-alive and says how long each answer took.
//
// Each body is a line of a file in which the mark (eight digits) is replaced by a number that counts up: no body is
// sent twice. Every answer is checked: status 200, the review's own uid, allowed, and a patch where one is expected.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type options struct {
	address, path, mark, expect string
	bodies                      [][][]byte // each split at the mark
	connections                 int
	seconds                     float64
	start                       int64
	pause                       time.Duration
	tls                         *tls.Config
}

type result struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
	P50     float64 `json:"p50_ms"`
	P90     float64 `json:"p90_ms"`
	P99     float64 `json:"p99_ms"`
	P999    float64 `json:"p999_ms"`
	Max     float64 `json:"max_ms"`
	Next    int64   `json:"next"`
}

func main() {
	o, err := parse()
	if err != nil {
		log.Fatal(err)
	}
	var number atomic.Int64
	number.Store(o.start)
	took := make([][]time.Duration, o.connections)
	failures := make([]error, o.connections)
	began := time.Now()
	end := began.Add(time.Duration(o.seconds * float64(time.Second)))
	var waiting sync.WaitGroup
	for n := range o.connections {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			took[n], failures[n] = talk(o, &number, end)
		}()
	}
	waiting.Wait()
	elapsed := time.Since(began).Seconds()
	for _, failure := range failures {
		if failure != nil {
			log.Fatal(failure)
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(summary(took, elapsed, number.Load()))
}

func parse() (options, error) {
	var o options
	var bodies, ca string
	flag.StringVar(&o.address, "address", "", "host:port")
	flag.StringVar(&o.path, "path", "/mutate", "")
	flag.StringVar(&o.mark, "mark", "", "what is replaced in a body")
	flag.StringVar(&o.expect, "expect", `"allowed":true`, "what every answer must hold")
	flag.StringVar(&bodies, "bodies", "", "file, a body a line")
	flag.StringVar(&ca, "ca", "", "file")
	flag.IntVar(&o.connections, "connections", 1, "")
	flag.Float64Var(&o.seconds, "seconds", 1, "")
	flag.Int64Var(&o.start, "start", 0, "the first number")
	flag.DurationVar(&o.pause, "pause", 0, "between an answer and the next question of a connection")
	flag.Parse()
	text, err := os.ReadFile(bodies)
	if err != nil {
		return o, err
	}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		o.bodies = append(o.bodies, bytes.Split(line, []byte(o.mark)))
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return o, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	o.tls = &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	return o, nil
}

func talk(o options, number *atomic.Int64, end time.Time) ([]time.Duration, error) {
	connection, err := tls.Dial("tcp", o.address, o.tls)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 64<<10)
	var took []time.Duration
	var request, body, answer []byte
	for time.Now().Before(end) {
		n := number.Add(1) - 1
		mark := fmt.Appendf(nil, "%08d", n)
		body = join(body[:0], o.bodies[int(n)%len(o.bodies)], mark)
		request = fmt.Appendf(request[:0], "POST %s?timeout=5s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-apiserver-admission\r\n"+
			"Accept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\nContent-Length: %s\r\n\r\n",
			o.path, o.address, strconv.Itoa(len(body)))
		request = append(request, body...)
		began := time.Now()
		if _, err = connection.Write(request); err != nil {
			return nil, err
		}
		if answer, err = read(reader, answer); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		if !bytes.Contains(answer, append(mark, "beef"...)) || !bytes.Contains(answer, []byte(o.expect)) {
			return nil, fmt.Errorf("review %s was answered with %.300s", mark, answer)
		}
		time.Sleep(o.pause)
	}
	return took, nil
}

func join(into []byte, parts [][]byte, mark []byte) []byte {
	for n, part := range parts {
		if n > 0 {
			into = append(into, mark...)
		}
		into = append(into, part...)
	}
	return into
}

func read(reader *bufio.Reader, into []byte) ([]byte, error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	buffer := bytes.NewBuffer(into[:0])
	if _, err = io.Copy(buffer, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(buffer.String()))
	}
	return buffer.Bytes(), nil
}

func summary(each [][]time.Duration, elapsed float64, next int64) result {
	var all []time.Duration
	for _, took := range each {
		all = append(all, took...)
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	at := func(share float64) float64 { return float64(all[int(share*float64(len(all)-1))].Nanoseconds()) / 1e6 }
	return result{
		Count: len(all), Seconds: elapsed, Rate: float64(len(all)) / elapsed, Next: next,
		P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: at(1),
	}
}
