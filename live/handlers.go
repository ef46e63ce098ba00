package live

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"alexnet/report"
	"alexnet/train"
)

//go:embed page
var files embed.FS

// handler returns what answers requests.
func (s *Server) handler() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /api/run", s.reading(s.getRun))
	mux.HandleFunc("GET /api/state", s.reading(s.getState))
	mux.HandleFunc("GET /api/kernels.png", s.reading(s.getKernels))
	mux.HandleFunc("GET /api/images/{image}", s.reading(s.getImage))
	mux.HandleFunc("POST /api/order", s.postOrder)
	return s.tracked(s.guarded(http.NewCrossOriginProtection().Handler(mux)))
}

// guarded is next for requests that call this machine by its name, with headers
// that keep the page to itself.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.known(r.Host) {
			http.Error(w, "this machine is not called "+strconv.Quote(r.Host)+": use the address that the terminal prints", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// known reports whether a request's Host is this machine. A number always is: only
// a name can be made to lead here by somebody else. The port may be another, of a
// tunnel.
func (s *Server) known(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || s.names[strings.ToLower(host)]
}

// authorized reports whether a request has the token.
func (s *Server) authorized(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) == 1
}

// reading is next for those who may look on.
func (s *Server) reading(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.loopback && !s.authorized(r) {
			fail(w, http.StatusUnauthorized, errToken)
			return
		}
		next(w, r)
	}
}

var (
	errToken     = errors.New("the token is missing or wrong: open the address that the terminal printed, whole")
	errNoKernels = errors.New("there are no kernels to show")
	errNoImage   = errors.New("the data set has no such test image")
)

func fail(w http.ResponseWriter, status int, err error) {
	reply(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
}

// reply sends v as JSON. Nobody is there to be told if that fails.
func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

func (s *Server) getRun(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.page.run) }

// getState answers with the state. The query says which points of the curves the
// browser has, as train=VERSION,COUNT.
func (s *Server) getState(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	reply(w, http.StatusOK, s.page.look(parseHave(q.Get("train")), parseHave(q.Get("test"))))
}

// parseHave reads VERSION,COUNT; what is none is nothing.
func parseHave(text string) have {
	version, count, _ := strings.Cut(text, ",")
	v, err := strconv.Atoi(version)
	n, err2 := strconv.Atoi(count)
	if err != nil || err2 != nil {
		return have{}
	}
	return have{v, n}
}

// drawing keeps the last picture of the kernels, which several browsers ask for.
type drawing struct {
	mu   sync.Mutex // held while one is drawn
	of   kernels
	png  []byte
	fail error
}

// getKernels answers with a picture of the first layer as it was last handed over.
func (s *Server) getKernels(w http.ResponseWriter, _ *http.Request) {
	s.page.mu.Lock()
	k := s.page.kernels
	s.page.mu.Unlock()
	if k.weights == nil {
		fail(w, http.StatusNotFound, errNoKernels)
		return
	}
	d := &s.drawing
	d.mu.Lock()
	if !d.of.taken.Equal(k.taken) {
		d.of = k
		d.png, d.fail = drawKernels(k, s.page.run.Columns)
	}
	b, err := d.png, d.fail
	d.mu.Unlock()
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	sendPNG(w, b)
}

func drawKernels(k kernels, columns int) ([]byte, error) {
	picture, err := report.Filters(k.weights, k.shape, report.FilterOptions{Columns: columns})
	if err != nil {
		return nil, err
	}
	return encode(picture)
}

func encode(picture image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, picture)
	return b.Bytes(), err
}

func sendPNG(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "image/png")
	w.Write(b)
}

// getImage answers with an image of the data set's test split, by its number.
func (s *Server) getImage(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.PathValue("image"), 10, 64)
	if err != nil || number < 0 || number >= int64(s.set.Info().Splits["test"].Images) {
		fail(w, http.StatusNotFound, errNoImage)
		return
	}
	select {
	case s.decoding <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	b, err := s.testImage(number)
	<-s.decoding
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Cache-Control", "private, max-age=3600") // it stays as it is for as long as the server
	sendPNG(w, b)
}

// testImage returns an image of the data set's test split as PNG.
func (s *Server) testImage(number int64) ([]byte, error) {
	im, pixels, err := s.set.Image("test", number)
	if err != nil {
		return nil, err
	}
	picture := image.NewRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i := range im.Width * im.Height {
		copy(picture.Pix[4*i:], pixels[3*i:3*i+3])
		picture.Pix[4*i+3] = 0xff
	}
	return encode(picture)
}

// postOrder carries out an order and answers with the step it was carried out
// after.
func (s *Server) postOrder(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		fail(w, http.StatusUnauthorized, errToken)
		return
	}
	o, err := train.ReadOrder(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	o.By = "the page"
	deadline := time.Now().Add(orderTimeout)
	if err := http.NewResponseController(w).SetWriteDeadline(deadline.Add(writeTimeout)); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	defer cancel()
	step, err := s.desk.Place(ctx, o)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, err)
	case err != nil:
		fail(w, http.StatusConflict, err)
	default:
		reply(w, http.StatusOK, struct {
			Step int64 `json:"step"`
		}{step})
	}
}
