package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kafkasync/kafkasync"
)

// maxOrder bounds the body of a request.
const maxOrder = 64 << 10

// changes adds what changes something. Who comes here has shown the token.
func (a *api) changes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/pipelines/{name}/recover", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(o *Recover) { o.Pipeline = r.PathValue("name") })
	})
	mux.HandleFunc("POST /api/pipelines/{name}/position", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(o *SetPosition) { o.Pipeline = r.PathValue("name") })
	})
	mux.HandleFunc("POST /api/pipelines/{name}/drop", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(o *Drop) { o.Pipeline = r.PathValue("name") })
	})
	mux.HandleFunc("POST /api/tables/forget", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(*Forget) {})
	})
	mux.HandleFunc("POST /api/members", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(*Members) {})
	})
	mux.HandleFunc("POST /api/transfer", func(w http.ResponseWriter, r *http.Request) {
		operate(a, w, r, func(*Transfer) {})
	})
}

// operate reads an order, has it carried out, and answers.
func operate[O Order](a *api, w http.ResponseWriter, r *http.Request, complete func(*O)) {
	var order O
	if err := readOrder(w, r, &order); err != nil {
		code := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			code = http.StatusRequestEntityTooLarge
		}
		a.answer(w, code, Failure{Error: "reading the body of the request: " + err.Error(), Fix: "send one JSON object; docs/operations.md says which"})
		return
	}
	complete(&order)
	result, err := a.operator.Operate(r.Context(), order)
	if err != nil {
		a.answer(w, codeOf(err), failureOf(err))
		return
	}
	result.Gaps, result.Left = list(result.Gaps), list(result.Left)
	a.answer(w, http.StatusOK, result)
}

// readOrder refuses whatever it does not know: half of an order could be the opposite of it.
func readOrder(w http.ResponseWriter, r *http.Request, order any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	dec.DisallowUnknownFields()
	err := dec.Decode(order)
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func codeOf(err error) int {
	var refused *Refusal
	var fault *kafkasync.Fault
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case errors.As(err, &fault):
		return http.StatusConflict // the server is not as it should be
	default:
		return http.StatusInternalServerError
	}
}

// failureOf keeps what is at risk and what fixes it apart from what happened.
func failureOf(err error) Failure {
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) {
		return Failure{Error: err.Error()}
	}
	doing, last := strings.CutSuffix(err.Error(), fault.Error())
	if !last {
		return Failure{Error: err.Error(), Risk: fault.Risk, Fix: fault.Fix}
	}
	what := fault.What
	if fault.Err != nil {
		what = fmt.Sprintf("%s: %v", what, fault.Err)
	}
	return Failure{Error: doing + what, Risk: fault.Risk, Fix: fault.Fix}
}

// answer sends an answer to an order.
func (a *api) answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	body, err := indented(v)
	if err != nil {
		a.fail(w, "encoding the answer", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(body); err != nil {
		a.log.Debug("answering a request", "err", err)
	}
}
