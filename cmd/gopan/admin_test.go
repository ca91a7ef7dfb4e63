package main

import (
	"bytes"
	"strings"
	"testing"
)

// Without etcd, gopan admin config shows what the file says, and changes nothing.
func TestAdminConfig(t *testing.T) {
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"config"}, exitOK, "dedupe.scope"},
		{[]string{"config", "--json"}, exitOK, `"key": "log.level"`},
		{[]string{"config", "set", "log.level", "debug"}, exitUsage, "etcd.endpoints"},
	} {
		var out bytes.Buffer
		cmd := adminCommand()
		cmd.SetArgs(row.args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		if err != nil {
			out.WriteString(err.Error())
		}
		if exitCode(err) != row.code || !strings.Contains(out.String(), row.want) {
			t.Errorf("%v: %v, %s", row.args, err, out.String())
		}
	}
}
