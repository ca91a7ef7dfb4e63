package oauthtest

import "net/http"

// NewGitHub makes a site that answers as a GitHub Enterprise server does: errors of the token endpoint with status 200
// among them.
func NewGitHub() *Server {
	s := newServer(map[string]Step{"/login/oauth/authorize": Authorize, "/login/oauth/access_token": Token, "/api/v3/user": User})
	s.InParams = true
	s.failed = func(w http.ResponseWriter, word, description string) {
		theirs := map[string]string{"invalid_client": "incorrect_client_credentials", "invalid_grant": "bad_verification_code"}
		if t, ok := theirs[word]; ok {
			word = t
		}
		writeJSON(w, http.StatusOK, map[string]string{"error": word, "error_description": description})
	}
	s.steps = map[Step]func(http.ResponseWriter, *http.Request, Fault){User: s.user}
	return s
}

func (s *Server) user(w http.ResponseWriter, r *http.Request, f Fault) {
	s.mu.Lock()
	p, known := s.tokens[accessToken(r)]
	s.mu.Unlock()
	if !known {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
		return
	}
	who := map[string]any{"id": p.ID, "login": p.Login, "name": p.Name, "email": nil, "type": "User"}
	if p.Name == "" {
		who["name"] = nil
	}
	switch f {
	case NoID:
		delete(who, "id")
	case ZeroID:
		who["id"] = 0
	case StringID:
		who["id"] = "1"
	case FloatID:
		who["id"] = 1.5
	case NullName:
		who["name"], who["login"] = nil, nil
	}
	writeJSON(w, http.StatusOK, who)
}
