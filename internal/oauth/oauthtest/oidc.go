package oauthtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keys are what id tokens are signed by: the site's, the one that it changes to, and one of nobody's. Made once, for it
// takes long.
var keys = sync.OnceValue(func() (k [3]*rsa.PrivateKey) {
	for i := range k {
		var err error
		if k[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err) // the machine has no randomness
		}
	}
	return k
})

// NewOIDC makes a site that speaks OpenID Connect. It is its own issuer, under the address that it is asked by.
func NewOIDC() *Server {
	s := newServer(map[string]Step{
		"/authorize": Authorize, "/token": Token, "/keys": Keys, "/.well-known/openid-configuration": Discovery,
	})
	s.failed = func(w http.ResponseWriter, word, description string) {
		status := http.StatusBadRequest
		if word == "invalid_client" {
			status = http.StatusUnauthorized
		}
		if word == "redirect_uri_mismatch" {
			word = "invalid_grant" // RFC 6749, section 5.2
		}
		writeJSON(w, status, map[string]string{"error": word, "error_description": description})
	}
	s.granted = func(r *http.Request, g grant, answer map[string]any, f Fault) {
		if f != NoIDToken {
			answer["id_token"] = s.idToken("http://"+r.Host, g, f)
		}
	}
	s.steps = map[Step]func(http.ResponseWriter, *http.Request, Fault){Discovery: s.discovery, Keys: s.publicKeys}
	return s
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request, f Fault) {
	issuer := "http://" + r.Host
	says := map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"code_challenge_methods_supported": []string{"S256"}, "scopes_supported": []string{"openid", "profile"},
		// What it never signs by is here, too: who believes all that a site offers would take it.
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	if s.InParams {
		says["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	}
	switch f {
	case OtherIssuer:
		says["issuer"] = issuer + "/other"
	case PlainToken:
		says["token_endpoint"] = "http://login.example.org/token"
	case NoTokenURL:
		delete(says, "token_endpoint")
	case ScriptedPage:
		says["authorization_endpoint"] = "javascript:alert(1)//"
	}
	writeJSON(w, http.StatusOK, says)
}

func (s *Server) publicKeys(w http.ResponseWriter, _ *http.Request, _ Fault) {
	names := []string{"key-1"}
	if s.newKey.Load() {
		names = append(names, "key-2")
	}
	var set []map[string]string
	for i, name := range names {
		k := keys()[i].PublicKey
		set = append(set, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name,
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": set})
}

// idToken says who has allowed what, https://openid.net/specs/openid-connect-core-1_0.html#IDToken
func (s *Server) idToken(issuer string, g grant, f Fault) string {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": issuer, "sub": strconv.FormatInt(g.Person.ID, 10), "aud": s.ClientID, "nonce": g.Nonce,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "preferred_username": g.Person.Login,
	}
	if g.Person.Name != "" {
		claims["name"] = g.Person.Name
	}
	wrongClaims(claims, s.ClientID, f)
	site := keys()
	switch f {
	case NotJWT:
		return "c4nary.not-a-token"
	case AlgNone:
		return sign(claims, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType)
	case HS256Secret:
		return sign(claims, jwt.SigningMethodHS256, "key-1", []byte(s.ClientSecret))
	case HS256Key:
		der, err := x509.MarshalPKIXPublicKey(&site[0].PublicKey)
		if err != nil {
			panic(err) // an RSA key has a form
		}
		return sign(claims, jwt.SigningMethodHS256, "key-1", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	case OtherKey:
		return sign(claims, jwt.SigningMethodRS256, "key-1", site[2])
	case NewKey:
		s.newKey.Store(true)
		return sign(claims, jwt.SigningMethodRS256, "key-2", site[1])
	}
	token := sign(claims, jwt.SigningMethodRS256, "key-1", site[0])
	switch f {
	case NoSignature:
		return token[:strings.LastIndex(token, ".")+1]
	case Changed:
		claims["sub"] = "0"
		return unsigned(claims, token)
	}
	return token
}

// wrongClaims has claims say what they should not.
func wrongClaims(claims jwt.MapClaims, client string, f Fault) {
	switch f {
	case WrongNonce:
		claims["nonce"] = "another"
	case NoNonce:
		delete(claims, "nonce")
	case WrongIssuer:
		claims["iss"] = "https://login.example.org"
	case WrongAudience:
		claims["aud"] = "another"
	case ExtraAudience:
		claims["aud"] = []string{client, "another"}
	case ForUsOfTwo:
		claims["aud"], claims["azp"] = []string{client, "another"}, client
	case OtherParty:
		claims["azp"] = "another"
	case NoIssuer:
		delete(claims, "iss")
	case NoAudience:
		delete(claims, "aud")
	case NoExpiry:
		delete(claims, "exp")
	case Expired:
		claims["exp"] = time.Now().Add(-time.Minute).Unix()
	case NotYet:
		claims["nbf"] = time.Now().Add(time.Hour).Unix()
	case NoSubject:
		claims["sub"] = ""
	case SpacedSubject:
		claims["sub"] = "1 "
	case LongSubject:
		claims["sub"] = strings.Repeat("1", 256)
	case ForeignSubject:
		claims["sub"] = "１"
	case OddNames:
		claims["preferred_username"], claims["name"] = []int{1}, 2
	}
}

func sign(claims jwt.MapClaims, by jwt.SigningMethod, name string, key any) string {
	t := jwt.NewWithClaims(by, claims)
	if name != "" {
		t.Header["kid"] = name
	}
	text, err := t.SignedString(key)
	if err != nil {
		panic(err) // the key is ours, and of the method's kind
	}
	return text
}

// unsigned puts claims under the signature of another token.
func unsigned(claims jwt.MapClaims, token string) string {
	body := strings.Split(sign(claims, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType), ".")[1]
	parts := strings.Split(token, ".")
	return parts[0] + "." + body + "." + parts[2]
}
