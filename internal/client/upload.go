package client

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// maxAnnounced is how many block sums fit into one request, which the server takes up to 1 MiB of. Larger files
// announce their digest alone.
const maxAnnounced = 15_000

// errUploadGone means that the server knows of no such upload, or that it is of no use: it begins anew.
var errUploadGone = errors.New("the server no longer knows of this upload")

// upload is a session on the server, in which a file's blocks arrive in any order.
type upload struct {
	ID   string `json:"id"`
	Size int64  `json:"size"`
	// RequestBlocks is how many blocks a request should carry, from a multiple of it on; MaxRequestBlocks is the
	// most that one may.
	RequestBlocks    int `json:"requestBlocks"`
	MaxRequestBlocks int `json:"maxRequestBlocks"`
	// Missing are the numbers of the first blocks that have not arrived, ascending; MissingCount counts all.
	Missing      []int     `json:"missing"`
	MissingCount int       `json:"missingCount"`
	Token        Token     `json:"token"`
	ExpiresAt    time.Time `json:"expiresAt"`
	// Challenge is set when the server has the content and wants proof that so do we.
	Challenge *challenge `json:"challenge"`
	// Node is the file, once the upload is complete.
	Node *Node `json:"node"`
}

// challenge asks for the HMAC-SHA-256, by the key Nonce, of some blocks.
type challenge struct {
	Nonce  string `json:"nonce"`
	Blocks []int  `json:"blocks"`
}

// missingBytes is how many bytes have not arrived. Of a list that was cut short the last block, which may be
// shorter than the others, is taken to be missing, too.
func (u *upload) missingBytes() int64 {
	if u.MissingCount == 0 {
		return 0
	}
	n := int64(u.MissingCount) * BlockSize
	last := blocksOf(u.Size) - 1
	if u.MissingCount > len(u.Missing) || u.Missing[len(u.Missing)-1] == last {
		n += blockLength(last, u.Size) - BlockSize
	}
	return n
}

// check refuses an answer that would lead astray.
func (u *upload) check(size int64) error {
	bad := u.ID == "" || u.Size != size || u.MissingCount < len(u.Missing) || u.MissingCount > 0 && len(u.Missing) == 0
	for i, n := range u.Missing {
		bad = bad || n < 0 || n >= blocksOf(size) || i > 0 && n <= u.Missing[i-1]
	}
	if bad {
		return errors.New("the server's answer is not Gopan's: an upload that makes no sense")
	}
	return nil
}

// blockRange is some consecutive blocks, that go in one request.
type blockRange struct{ first, count int }

// ranges are the missing blocks as the server likes to get them.
func (u *upload) ranges() []blockRange {
	group, most := max(u.RequestBlocks, 1), u.MaxRequestBlocks
	if most > 0 {
		group = min(group, most)
	}
	var out []blockRange
	for _, n := range u.Missing {
		if k := len(out) - 1; k >= 0 && out[k].first+out[k].count == n && n%group != 0 {
			out[k].count++
			continue
		}
		out = append(out, blockRange{n, 1})
	}
	return out
}

// ticket is the right to go on with one upload: its own token, which outlives the access token, until that turns
// out to be worthless, and then the account's.
type ticket struct {
	id    string
	token atomic.Pointer[Token]
}

func newTicket(id string, token Token) *ticket {
	t := &ticket{id: id}
	if token != "" {
		t.token.Store(&token)
	}
	return t
}

// onUpload makes a call about an upload, at a path below its own. errUploadGone means that there is none.
func (c *Client) onUpload(ctx context.Context, t *ticket, below string, k call) error {
	k.path = "/uploads/" + url.PathEscape(t.id) + below
	if token := t.token.Load(); token != nil {
		own := k
		own.public, own.header = true, http.Header{"Upload-Token": {string(*token)}}
		for name, values := range k.header {
			own.header[name] = values
		}
		_, err := c.do(ctx, &own)
		if !HasStatus(err, http.StatusNotFound, http.StatusUnauthorized) {
			return err
		}
		// It ends with the sign-in that it was given in; the upload is still the account's.
		t.token.CompareAndSwap(token, nil)
	}
	_, err := c.do(ctx, &k)
	if IsNotFound(err) {
		return fmt.Errorf("%w: %w", errUploadGone, err)
	}
	return err
}

// createUpload begins an upload of a file with these sums.
func (c *Client) createUpload(ctx context.Context, path string, size int64, sums blockSums, opt PutOptions) (*upload, error) {
	if !utf8.ValidString(path) {
		return nil, ErrNotUTF8
	}
	in := map[string]any{"path": path, "size": size, "parents": opt.Parents, "digest": sums.digest()}
	if blocksOf(size) <= maxAnnounced {
		in["blocks"] = sums.list()
	}
	if opt.Conflict != "" {
		in["conflict"] = opt.Conflict
	}
	if t := timeText(opt.ModifiedAt); t != "" {
		in["modifiedAt"] = t
	}
	u := new(upload)
	_, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/uploads", key: newKey(), header: opt.header(), json: in, out: u,
	})
	if err != nil {
		return nil, err
	}
	return u, u.check(size)
}

// getUpload asks how far an upload is.
func (c *Client) getUpload(ctx context.Context, t *ticket, size int64) (*upload, error) {
	u := new(upload)
	if err := c.onUpload(ctx, t, "", call{method: http.MethodGet, out: u}); err != nil {
		return nil, err
	}
	return u, u.check(size)
}

// putBlocks sends consecutive blocks. sum, if not nil, is the SHA-256 of all that is sent.
func (c *Client) putBlocks(ctx context.Context, t *ticket, first int, body *Content, sum []byte) error {
	k := call{method: http.MethodPut, content: body, unasked: true}
	if sum != nil {
		k.header = http.Header{"Content-Digest": {"sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"}}
	}
	return c.onUpload(ctx, t, "/blocks/"+strconv.Itoa(first), k)
}

// prove answers a challenge.
func (c *Client) prove(ctx context.Context, t *ticket, ch *challenge, r io.ReaderAt, size int64) (*upload, error) {
	nonce, err := hex.DecodeString(ch.Nonce)
	if err != nil {
		return nil, fmt.Errorf("the server's answer is not Gopan's: %w", err)
	}
	answers := []string{}
	for _, n := range ch.Blocks {
		if n < 0 || n >= blocksOf(size) {
			return nil, errors.New("the server's answer is not Gopan's: a challenge for a block that there is not")
		}
		mac := hmac.New(sha256.New, nonce)
		if err := copyRange(mac, r, int64(n)*BlockSize, blockLength(n, size)); err != nil {
			return nil, err
		}
		answers = append(answers, hex.EncodeToString(mac.Sum(nil)))
	}
	u := new(upload)
	err = c.onUpload(ctx, t, "/proof", call{
		method: http.MethodPost, json: map[string]any{"answers": answers}, out: u, tooMany: true,
	})
	if err != nil {
		return nil, err
	}
	return u, u.check(size)
}

// completeUpload makes the file of an upload to which all blocks have come. Any number of times has one effect.
func (c *Client) completeUpload(ctx context.Context, t *ticket) (*Node, error) {
	n := new(Node)
	if err := c.onUpload(ctx, t, "/complete", call{method: http.MethodPost, out: n}); err != nil {
		return nil, err
	}
	return n, nil
}

// dropUpload ends an upload; its bytes and the space that it holds are free again.
func (c *Client) dropUpload(ctx context.Context, t *ticket) error {
	return c.onUpload(ctx, t, "", call{method: http.MethodDelete})
}
