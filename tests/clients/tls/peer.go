// Go's TLS as a client: peer PORT AUTHORITY HOST VERSION SUITE
//
// Connects to 127.0.0.1 twice, the second time with the session of the first. Each time it checks the certificate, sends 1 MB in pieces of
// odd sizes, reads all of it back, and ends in order: close_notify is sent and must come. Prints a line for each connection. SUITE is
// the registry's name; with TLS 1.3, whose suites Go chooses itself, it is not looked at.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func talk(port string, config *tls.Config, sent []byte) {
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
	must(err)
	defer conn.Close()
	go func() {
		for at, piece := 0, 1; at < len(sent); at, piece = at+piece, piece*7%70001+1 {
			end := at + piece
			if end > len(sent) {
				end = len(sent)
			}
			_, err := conn.Write(sent[at:end])
			must(err)
		}
	}()
	received := make([]byte, len(sent))
	_, err = io.ReadFull(conn, received)
	must(err)
	must(conn.CloseWrite())
	// Without close_notify this is an unexpected end.
	rest, err := io.ReadAll(conn)
	must(err)
	state, how, echoed := conn.ConnectionState(), "full", "CHANGED"
	if state.DidResume {
		how = "resumed"
	}
	if bytes.Equal(sent, received) && len(rest) == 0 {
		echoed = "echoed"
	}
	version := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[state.Version]
	fmt.Println(how, version, tls.CipherSuiteName(state.CipherSuite), echoed, "ended")
}

func main() {
	port, authority, host, version, suite := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	pem, err := os.ReadFile(authority)
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{"xmpp-client"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	config.MinVersion = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[version]
	config.MaxVersion = config.MinVersion
	for _, known := range tls.CipherSuites() {
		if known.Name == suite {
			config.CipherSuites = []uint16{known.ID}
		}
	}
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	talk(port, config, sent)
	talk(port, config, sent)
}
