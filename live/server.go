package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"alexnet/loader"
	"alexnet/train"

	"golang.org/x/net/netutil"
)

// Desk carries orders out, as [train.Desk] does.
type Desk interface {
	Place(ctx context.Context, o train.Order) (step int64, err error)
}

// The bounds of what a server does for others at once.
const (
	maxConnections = 64
	maxHeader      = 16 << 10 // bytes
	maxOrder       = 1 << 10

	readTimeout  = 10 * time.Second // of a whole request
	writeTimeout = 10 * time.Second // of an answer
	orderTimeout = time.Minute      // an order waits for a test to end
	idleTimeout  = 30 * time.Second
	closeTimeout = 2 * time.Second // then answers that are under way are cut off
)

// Server serves a page.
type Server struct {
	page     *Page
	desk     Desk
	set      *loader.Set
	token    string
	loopback bool            // whether only this machine can reach it
	names    map[string]bool // in small letters, that requests may call this machine by, besides numbers
	address  string          // host and port, for people

	http     *http.Server
	stop     context.CancelFunc // of what requests wait for
	serving  chan error         // what Serve returned
	decoding chan struct{}      // held while an image is decoded: one at a time
	drawing  drawing

	mu       sync.Mutex
	closed   bool
	handlers sync.WaitGroup // added to under mu while not closed
}

// Address returns what to listen on: "8080" and ":8080" are of this machine alone,
// as "localhost:8080" is; who wants others to look on says so, as "0.0.0.0:8080".
// Port 0 is any that is free.
func Address(text string) (string, error) {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", fmt.Errorf("the address %q: want a port, as 6006, or host and port, as localhost:6006 or 0.0.0.0:6006", text)
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// Listen serves a page at an address of [Address] until Close. Images of mistakes
// come from set, orders go to desk.
func Listen(ctx context.Context, address string, page *Page, desk Desk, set *loader.Set) (*Server, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the page cannot be served: %w; choose another port, or 0 for any that is free", err)
	}
	at := l.Addr().(*net.TCPAddr)
	host, _, _ := net.SplitHostPort(address) // it was listened on
	s := &Server{
		page: page, desk: desk, set: set, token: rand.Text(), loopback: at.IP.IsLoopback(),
		names:   map[string]bool{"localhost": true, strings.ToLower(host): true},
		serving: make(chan error, 1), decoding: make(chan struct{}, 1),
	}
	if own, err := os.Hostname(); err == nil && !s.loopback {
		s.names[strings.ToLower(own)] = true
		if at.IP.IsUnspecified() {
			host = own
		}
	}
	s.address = net.JoinHostPort(host, strconv.Itoa(at.Port))
	base, stop := context.WithCancel(context.WithoutCancel(ctx)) // Close ends it, after the training's last answers
	s.stop = stop
	s.http = &http.Server{
		Handler: s.handler(), MaxHeaderBytes: maxHeader,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    log.New(io.Discard, "", 0), // browsers' broken connections are no news
	}
	go func() { s.serving <- s.http.Serve(netutil.LimitListener(l, maxConnections)) }()
	return s, nil
}

// URL returns the page's address with the token that lets its buttons work. What
// follows # a browser keeps to itself.
func (s *Server) URL() string { return "http://" + s.address + "/#token=" + s.token }

// Close stops the server and waits for all that it began. Answers that are under
// way are finished, if that is quick.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	s.stop()
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.handlers.Wait()
	if served := <-s.serving; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// tracked is next, which Close waits for.
func (s *Server) tracked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		s.handlers.Add(1)
		s.mu.Unlock()
		defer s.handlers.Done()
		next.ServeHTTP(w, r)
	})
}
