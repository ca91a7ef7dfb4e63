// Package api holds the contracts, HTTP (.api) and RPC (.proto), and the OpenAPI document made from them.
package api

import _ "embed"

//go:generate go run -C ../tools ./apigen -root ..

// OpenAPI is openapi.json: every HTTP route, in OpenAPI 3.1.
//
//go:embed openapi.json
var OpenAPI []byte
