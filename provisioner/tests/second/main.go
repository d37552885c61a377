// A service that is not the sample app: another language, another port, another counter. It counts orders, and nothing else.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	var orders atomic.Int64
	http.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# HELP orders_total Orders taken.\n# TYPE orders_total counter\norders_total %d\n", orders.Load())
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "order", orders.Add(1))
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
