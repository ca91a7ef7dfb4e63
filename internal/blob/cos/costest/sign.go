package costest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signed tells whether a request is signed with the credentials, in its header or its query, for now.
func signed(r *http.Request) bool {
	auth := make(url.Values)
	if h := r.Header.Get("Authorization"); h != "" {
		for pair := range strings.SplitSeq(h, "&") {
			k, v, _ := strings.Cut(pair, "=")
			auth.Set(k, v)
		}
	} else {
		auth = r.URL.Query()
	}
	if auth.Get("q-sign-algorithm") != "sha1" || auth.Get("q-ak") != SecretID {
		return false
	}
	keyTime, signTime := auth.Get("q-key-time"), auth.Get("q-sign-time")
	if !now(keyTime) || !now(signTime) {
		return false
	}
	headers, ok := listed(auth.Get("q-header-list"), func(name string) []string {
		if name == "host" {
			return []string{r.Host}
		}
		if name == "content-length" && r.Header.Get(name) == "" {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		return r.Header.Values(name)
	})
	if !ok || !slices.Contains(strings.Split(auth.Get("q-header-list"), ";"), "host") {
		return false
	}
	query := make(url.Values) // names are signed in small letters
	for k, v := range r.URL.Query() {
		if !strings.HasPrefix(k, "q-") {
			query[strings.ToLower(k)] = v
		}
	}
	params, ok := listed(auth.Get("q-url-param-list"), func(name string) []string { return query[name] })
	if !ok || strings.Count(params, "=") != len(query) {
		return false // something in the query is not signed
	}
	http := strings.ToLower(r.Method) + "\n" + r.URL.Path + "\n" + params + "\n" + headers + "\n"
	sum := sha1.Sum([]byte(http))
	toSign := fmt.Sprintf("sha1\n%s\n%x\n", signTime, sum)
	want := mac(mac(SecretKey, keyTime), toSign)
	return hmac.Equal([]byte(want), []byte(auth.Get("q-signature")))
}

func mac(key, text string) string {
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

// now tells whether a span "first;last" of seconds since 1970 holds this moment.
func now(span string) bool {
	var first, last int64
	n, err := fmt.Sscanf(span, "%d;%d", &first, &last)
	t := time.Now().Unix()
	return err == nil && n == 2 && first <= t && t <= last
}

// listed writes the listed names, in their order, with their values, as they are signed. Names that are listed more than
// once, or are not there, are refused.
func listed(list string, value func(string) []string) (string, bool) {
	if list == "" {
		return "", true
	}
	names := strings.Split(list, ";")
	if !slices.IsSorted(names) {
		return "", false
	}
	pairs := make([]string, 0, len(names))
	for i, n := range names {
		name, err := url.PathUnescape(n)
		if err != nil || i > 0 && names[i-1] == n {
			return "", false
		}
		v := value(name)
		if len(v) != 1 {
			return "", false
		}
		pairs = append(pairs, n+"="+escape(v[0]))
	}
	return strings.Join(pairs, "&"), true
}

// escape is UrlEncode of the documents: all but letters, digits and "-_.~".
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
