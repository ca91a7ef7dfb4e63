package filemeta

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/pb/userpb"
)

// accounts is the user role in memory, as far as this role asks it.
type accounts struct {
	userpb.UserClient
	logins   map[int64]string
	departed []int64
	// erasing is called before an account is erased.
	erasing  func(user int64)
	recorded []*userpb.RecordRequest
	// out: it cannot be reached.
	out bool
}

var errOut = errors.New("nobody answers")

func (a *accounts) Logins(_ context.Context, req *userpb.LoginsRequest, _ ...grpc.CallOption) (*userpb.LoginsResponse, error) {
	if a.out {
		return nil, errOut
	}
	resp := &userpb.LoginsResponse{Logins: make(map[int64]string)}
	for _, id := range req.GetUserIds() {
		if login, ok := a.logins[id]; ok {
			resp.Logins[id] = login
		}
	}
	return resp, nil
}

func (a *accounts) Record(_ context.Context, req *userpb.RecordRequest, _ ...grpc.CallOption) (*userpb.RecordResponse, error) {
	if a.out {
		return nil, errOut
	}
	a.recorded = append(a.recorded, req)
	return &userpb.RecordResponse{}, nil
}

func (a *accounts) Departed(context.Context, *userpb.DepartedRequest, ...grpc.CallOption) (*userpb.DepartedResponse, error) {
	return &userpb.DepartedResponse{UserIds: slices.Clone(a.departed)}, nil
}

func (a *accounts) Erased(_ context.Context, req *userpb.ErasedRequest, _ ...grpc.CallOption) (*userpb.ErasedResponse, error) {
	if a.out {
		return nil, errOut
	}
	a.erasing(req.GetUserId())
	a.departed = slices.DeleteFunc(a.departed, func(id int64) bool { return id == req.GetUserId() })
	delete(a.logins, req.GetUserId())
	return &userpb.ErasedResponse{}, nil
}

// newAccounts lets the tree know of alice, bob and an administrator.
func (f *fixture) newAccounts(t *testing.T) *accounts {
	a := &accounts{logins: map[int64]string{int64(alice): "alice", int64(bob): "bob", admin: "admin"}}
	a.erasing = func(user int64) {
		if left := f.rowsOf(UserID(user)); len(left) > 0 {
			t.Errorf("user %d is erased while there are %v", user, left)
		}
	}
	f.Users = a
	return a
}

const admin int64 = 9
