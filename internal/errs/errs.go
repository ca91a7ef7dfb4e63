// Package errs is the one error type: what kind of failure, in which operation, caused by what.
package errs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind classifies a failure by what the caller can do about it. Kinds are only ever added at the end: their
// numbers travel between processes.
type Kind int

// The kinds.
const (
	// Internal is a failure of ours: a bug, or a disk or database that misbehaves.
	Internal Kind = iota
	// Invalid input; the same request will fail again.
	Invalid
	// Unauthenticated: no credential, or one that is wrong, expired or revoked.
	Unauthenticated
	// Denied: the credential is good, the action is not allowed.
	Denied
	// NotFound covers what does not exist and what the caller may not know of; the two look the same.
	NotFound
	// Exists: the name is taken.
	Exists
	// Conflict with the present state, such as moving a folder into itself.
	Conflict
	// Stale: an If-Match or If-None-Match did not hold.
	Stale
	// TooLarge: over a limit of size.
	TooLarge
	// OverQuota: the drive, or the disk below it, is full.
	OverQuota
	// Busy: try again later; RetryAfter may say when.
	Busy
	// Corrupt: bytes are not what their sum says.
	Corrupt
	// Unsupported: a media type or encoding that is not accepted here.
	Unsupported
	// TooMany requests from this caller.
	TooMany
	// Canceled: the caller went away.
	Canceled
)

var kindNames = [...]string{
	"internal", "invalid", "unauthenticated", "denied", "not_found", "exists", "conflict", "stale", "too_large",
	"over_quota", "busy", "corrupt", "unsupported", "too_many", "canceled",
}

// Kinds is how many kinds there are; tables over all of them are tested against it.
const Kinds = Kind(len(kindNames))

// String is the kind's stable name, which is also its default Code.
func (k Kind) String() string {
	if k < 0 || k >= Kinds {
		return kindNames[Internal]
	}
	return kindNames[k]
}

// Op names the operation that failed, such as "filemeta.Commit".
type Op string

// Code is a stable word that programs and translations can rely on, finer than the kind: "name_taken".
type Code string

// Field is the part of the request that is at fault: "path", "limit".
type Field string

// Error is the one error type. A user sees only what Kind, Code and Field say; Err goes to the log.
type Error struct {
	Kind  Kind
	Op    Op
	Code  Code
	Field Field
	// RetryAfter tells a caller of a Busy or TooMany failure when to come back; 0: soon.
	RetryAfter time.Duration
	Err        error
}

// E makes an error of a kind in an operation. Each further argument is a Code, a Field, a time.Duration
// (RetryAfter), or the error that caused it.
func E(kind Kind, op Op, args ...any) error {
	e := &Error{Kind: kind, Op: op}
	for _, a := range args {
		switch a := a.(type) {
		case Code:
			e.Code = a
		case Field:
			e.Field = a
		case time.Duration:
			e.RetryAfter = a
		case error:
			e.Err = a
		case nil:
		default:
			e.Err = fmt.Errorf("%v", a)
		}
	}
	return e
}

// Wrap adds an operation to an error and keeps its kind; an error without one becomes Internal, a context's
// end becomes Canceled or Busy. Wrap of nil is nil.
func Wrap(op Op, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return &Error{Kind: e.Kind, Op: op, Code: e.Code, Field: e.Field, RetryAfter: e.RetryAfter, Err: err}
	}
	return &Error{Kind: KindOf(err), Op: op, Err: err}
}

// Error is for the log: operations from the outside in, then the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Op))
	var inner *Error
	if !errors.As(e.Err, &inner) {
		b.WriteString(": ")
		b.WriteString(string(e.CodeOrKind()))
		if e.Field != "" {
			b.WriteString(" (" + string(e.Field) + ")")
		}
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOrKind is the error's code, or its kind's name where it has none of its own.
func (e *Error) CodeOrKind() Code {
	if e.Code != "" {
		return e.Code
	}
	return Code(e.Kind.String())
}

// KindOf is the kind of the outermost Error in the chain; contexts that ended are Canceled or Busy, and
// everything else is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Busy
	}
	return Internal
}

// Is tells whether err is of a kind. A nil error is of none.
func Is(kind Kind, err error) bool { return err != nil && KindOf(err) == kind }

// CodeOf is the code of the outermost Error in the chain, or its kind's name.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.CodeOrKind()
	}
	return Code(KindOf(err).String())
}
