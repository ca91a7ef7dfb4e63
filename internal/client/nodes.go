package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// ErrNotUTF8 means that a name is not text: JSON would carry another name than the one that was meant.
var ErrNotUTF8 = errors.New("the name is not valid UTF-8")

// pageSize is the largest that the server gives.
const pageSize = 1000

// Ref names a node by its path or by its id.
type Ref struct{ path, id string }

// ByPath names whatever is at a path.
func ByPath(p string) Ref { return Ref{path: p} }

// ByID names one node, wherever it is.
func ByID(id string) Ref { return Ref{id: id} }

// Stat describes the node at a path.
func (c *Client) Stat(ctx context.Context, path string) (*Node, error) {
	return c.StatRef(ctx, ByPath(path))
}

// StatRef describes a node.
func (c *Client) StatRef(ctx context.Context, r Ref) (*Node, error) {
	k := &call{method: http.MethodGet}
	if r.id != "" {
		k.path = "/files/" + url.PathEscape(r.id)
	} else {
		k.path, k.query = "/stat", url.Values{"path": {r.path}}
	}
	return c.node(ctx, k)
}

// node makes a call that answers a node.
func (c *Client) node(ctx context.Context, k *call) (*Node, error) {
	n := new(Node)
	k.out = n
	if _, err := c.do(ctx, k); err != nil {
		return nil, err
	}
	return n, nil
}

// List yields a folder's entries, its folders first, a page at a time as they are asked for. An error is the
// last thing that it yields.
func (c *Client) List(ctx context.Context, path string) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		cursor := ""
		for {
			var page struct {
				Items      []Node `json:"items"`
				NextCursor string `json:"nextCursor"`
			}
			q := url.Values{"path": {path}, "limit": {strconv.Itoa(pageSize)}}
			if cursor != "" {
				q.Set("cursor", cursor)
			}
			if _, err := c.do(ctx, &call{method: http.MethodGet, path: "/files", query: q, out: &page}); err != nil {
				yield(Node{}, err)
				return
			}
			for _, n := range page.Items {
				if !yield(n, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			if page.NextCursor == cursor {
				yield(Node{}, errors.New("the server gave the same page twice"))
				return
			}
			cursor = page.NextCursor
		}
	}
}

// Mkdir makes a folder. With parents it also makes those above it that are missing, and a folder that is there
// already is a success.
func (c *Client) Mkdir(ctx context.Context, path string, parents bool) (*Node, error) {
	if !utf8.ValidString(path) {
		return nil, ErrNotUTF8
	}
	return c.node(ctx, &call{
		method: http.MethodPost, path: "/folders", key: newKey(),
		json: map[string]any{"path": path, "parents": parents},
	})
}

// Move renames a node, moves it to the folder at parentPath, or both at once; an empty argument keeps what is.
// With etag it does so only if the node is still that version, else the failure has status 412.
func (c *Client) Move(ctx context.Context, id, etag, parentPath, name string) (*Node, error) {
	if !utf8.ValidString(parentPath) || !utf8.ValidString(name) {
		return nil, ErrNotUTF8
	}
	body := map[string]string{}
	if parentPath != "" {
		body["parentPath"] = parentPath
	}
	if name != "" {
		body["name"] = name
	}
	k := &call{method: http.MethodPatch, path: "/files/" + url.PathEscape(id), key: newKey(), json: body}
	if etag != "" {
		k.header = http.Header{"If-Match": {etag}}
	}
	return c.node(ctx, k)
}

// Rename gives a node another name in its folder.
func (c *Client) Rename(ctx context.Context, id, etag, name string) (*Node, error) {
	return c.Move(ctx, id, etag, "", name)
}

// Trash moves a node, with all below it, to the trash.
func (c *Client) Trash(ctx context.Context, id string) error {
	k := &call{method: http.MethodDelete, path: "/files/" + url.PathEscape(id)}
	_, err := c.do(ctx, k)
	if k.tries > 1 && IsNotFound(err) {
		// An attempt before this one did it, and its answer was lost.
		return nil
	}
	return err
}
