package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/client"
	"github.com/livil/gopan/internal/config"
)

// administration is the server's API as an administrator has it, on the machine itself.
type administration struct {
	*client.Client
	// site is where people reach the drive; "" where the settings do not say.
	site string
}

// administer calls fn with the administration of the installation that the flags name. It needs the data folder and no
// password, and a drive may run on the folder or not.
func (f *serverFlags) administer(cmd *cobra.Command, fn func(context.Context, administration) error) error {
	err := f.beside(cmd, func(ctx context.Context, c config.Config) error {
		return app.Administer(ctx, c, func(ctx context.Context, h *http.Client) error {
			var signedIn client.Memory
			// Never shown to anybody: there is no network on the way.
			session := client.Session{Login: app.Operator, Access: app.Operator, RenewAt: time.Now().Add(24 * time.Hour)}
			if err := signedIn.Save(ctx, session); err != nil {
				return err
			}
			lang := "en"
			if chinese {
				lang = "zh-CN"
			}
			return fn(ctx, administration{
				&client.Client{BaseURL: "http://localhost", HTTP: h, Credentials: &signedIn, Language: lang}, strings.TrimSuffix(c.PublicURL, "/"),
			})
		})
	})
	switch {
	case errors.Is(err, client.ErrNoUser):
		return &exitError{exitNotFound, errors.New(say(text{"no account has this login", "没有该用户名的账号"}))}
	case errors.Is(err, client.ErrNoGroup):
		return &exitError{exitNotFound, errors.New(say(text{"no group has this name", "没有该名称的用户组"}))}
	}
	return err
}

// show prints a one-time link as something to open, if the settings say where the drive is.
func (a administration) show(cmd *cobra.Command, l client.OneTimeLink) {
	out := cmd.OutOrStdout()
	fmt.Fprintln(out, a.site+l.Link)
	hint := text{"works once, until %s; shown only now", "仅可使用一次，有效期至 %s；仅显示这一次"}
	if a.site == "" {
		hint = text{
			"put your drive's address before it; works once, until %s; shown only now",
			"请在前面加上网盘地址；仅可使用一次，有效期至 %s；仅显示这一次",
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), say(hint)+"\n", l.ExpiresAt)
}

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: say(text{"Look after accounts", "管理账号"})}
	cmd.AddCommand(
		usersCommand(), addUserCommand(), inviteCommand(),
		onUser("reset LOGIN", text{"Print a link by which the account's owner sets a new password", "生成重设密码的一次性链接"},
			func(ctx context.Context, cmd *cobra.Command, a administration, u client.Account) error {
				l, err := a.ResetUser(ctx, u.ID)
				if err == nil {
					a.show(cmd, l)
				}
				return err
			}),
		changeUser("role LOGIN admin|user", text{"Make an account an administrator's, or an ordinary one", "设置账号角色"},
			func(to string) client.UserChange { return client.UserChange{Role: to} }),
		changeUser("name LOGIN NAME", text{"Change the name that others see", "修改显示名称"},
			func(to string) client.UserChange { return client.UserChange{Name: to} }),
		stateCommand("disable LOGIN", "disabled", text{"Close an account: its sessions and keys end at once", "停用账号：其会话与密钥立即失效"}),
		stateCommand("enable LOGIN", "active", text{"Open an account that was disabled or deleted again", "恢复被停用或删除的账号"}),
		stateCommand("delete LOGIN", "deleted", text{
			"Close an account, and erase it and its files when auth.eraseAfter is over", "删除账号：立即停用，保留期（auth.eraseAfter）过后清除账号与文件",
		}),
		withUser("quota LOGIN SIZE", text{"Change how much an account may store: 500MiB, 10GiB; 0 is no limit", "修改账号容量，如 500MiB、10GiB；0 为不限"},
			2, func(ctx context.Context, _ *cobra.Command, a administration, u client.Account, size string) error {
				var n byteSize
				if err := n.Set(size); err != nil {
					return usageError(err)
				}
				return a.SetQuota(ctx, u.ID, int64(n))
			}),
		onUser("sign-out LOGIN", text{"End all sessions and keys of an account", "结束该账号的所有会话与密钥"},
			func(ctx context.Context, _ *cobra.Command, a administration, u client.Account) error {
				return a.SignOutUser(ctx, u.ID)
			}),
		onUser("clear-totp LOGIN", text{"Turn off the second factor of an account", "关闭该账号的两步验证"},
			func(ctx context.Context, _ *cobra.Command, a administration, u client.Account) error {
				return a.ClearTOTP(ctx, u.ID)
			}),
		onUser("export LOGIN", text{"Print all that is known of an account but its files, as JSON", "以 JSON 导出该账号的全部资料（不含文件）"},
			func(ctx context.Context, cmd *cobra.Command, a administration, u client.Account) error {
				return a.ExportUser(ctx, u.ID, cmd.OutOrStdout())
			}),
	)
	return cmd
}

func usersCommand() *cobra.Command {
	var state string
	var asJSON bool
	cmd := installationCommand("list [BEGINNING]", cobra.MaximumNArgs(1), text{
		"List accounts: all, or those whose login, name or phone begins so", "列出账号：全部，或用户名、名称、手机号以此开头的",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, args []string) error {
		all := []client.Account{}
		for u, err := range a.Users(ctx, strings.Join(args, ""), state) {
			if err != nil {
				return err
			}
			all = append(all, u)
		}
		if asJSON {
			return writeReport(cmd.OutOrStdout(), all)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, u := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Login, u.Role, u.State, u.Phone, u.Name)
		}
		return w.Flush()
	})
	cmd.Flags().StringVar(&state, "state", "", say(text{"only those that are active, disabled or deleted", "仅列出该状态：active、disabled 或 deleted"}))
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func addUserCommand() *cobra.Command {
	var n client.NewUser
	cmd := installationCommand("add LOGIN", cobra.ExactArgs(1), text{
		"Make an account, and print a link by which its owner sets a password", "创建账号，并生成供其设置密码的一次性链接",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, args []string) error {
		n.Login = args[0]
		_, l, err := a.CreateUser(ctx, n)
		if err == nil {
			a.show(cmd, l)
		}
		return err
	})
	cmd.Flags().StringVar(&n.Name, "name", "", say(text{"the name that others see", "显示名称"}))
	cmd.Flags().StringVar(&n.Role, "role", "user", say(text{"user or admin", "角色：user 或 admin"}))
	cmd.Flags().StringVar(&n.Phone, "phone", "", say(text{"a phone to sign in by", "用于登录的手机号"}))
	return cmd
}

func inviteCommand() *cobra.Command {
	var role, note string
	var days int
	cmd := installationCommand("invite", cobra.NoArgs, text{
		"Print a link by which somebody makes an account", "生成供他人注册的一次性邀请链接",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, _ []string) error {
		l, err := a.Invite(ctx, role, note, days)
		if err == nil {
			a.show(cmd, l)
		}
		return err
	})
	cmd.Flags().StringVar(&role, "role", "user", say(text{"user or admin", "角色：user 或 admin"}))
	cmd.Flags().StringVar(&note, "note", "", say(text{"whom it is for", "备注：邀请谁"}))
	cmd.Flags().IntVar(&days, "days", 7, say(text{"how long it works", "有效天数"}))
	return cmd
}

// onUser is a command about one account.
func onUser(use string, short text, do func(context.Context, *cobra.Command, administration, client.Account) error) *cobra.Command {
	return withUser(use, short, 1, func(ctx context.Context, cmd *cobra.Command, a administration, u client.Account, _ string) error {
		return do(ctx, cmd, a, u)
	})
}

func changeUser(use string, short text, change func(to string) client.UserChange) *cobra.Command {
	return withUser(use, short, 2, func(ctx context.Context, _ *cobra.Command, a administration, u client.Account, to string) error {
		_, err := a.ChangeUser(ctx, u.ID, change(to))
		return err
	})
}

func stateCommand(use, state string, short text) *cobra.Command {
	return onUser(use, short, func(ctx context.Context, _ *cobra.Command, a administration, u client.Account) error {
		_, err := a.ChangeUser(ctx, u.ID, client.UserChange{State: state})
		return err
	})
}

// withUser is a command whose first argument is an account's login; do gets the last one, too.
func withUser(use string, short text, args int, do func(context.Context, *cobra.Command, administration, client.Account, string) error) *cobra.Command {
	return installationCommand(use, cobra.ExactArgs(args), short, func(ctx context.Context, cmd *cobra.Command, a administration, args []string) error {
		u, err := a.UserByLogin(ctx, args[0])
		if err != nil {
			return err
		}
		return do(ctx, cmd, a, u, args[len(args)-1])
	})
}

func groupCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "group", Short: say(text{"Look after groups of accounts", "管理用户组"})}
	inGroup := func(use string, args int, short text, do func(context.Context, administration, client.Group, string) error) *cobra.Command {
		return installationCommand(use, cobra.ExactArgs(args), short, func(ctx context.Context, _ *cobra.Command, a administration, args []string) error {
			g, err := a.GroupByName(ctx, args[0])
			if err != nil {
				return err
			}
			return do(ctx, a, g, args[len(args)-1])
		})
	}
	member := func(do func(administration, context.Context, string, string) error) func(context.Context, administration, client.Group, string) error {
		return func(ctx context.Context, a administration, g client.Group, login string) error {
			u, err := a.UserByLogin(ctx, login)
			if err != nil {
				return err
			}
			return do(a, ctx, g.ID, u.ID)
		}
	}
	cmd.AddCommand(
		installationCommand("list", cobra.NoArgs, text{"List groups and who is in them", "列出用户组及成员"},
			func(ctx context.Context, cmd *cobra.Command, a administration, _ []string) error {
				all, err := a.Groups(ctx)
				for _, g := range all {
					logins := make([]string, len(g.Members))
					for i, m := range g.Members {
						logins[i] = m.Login
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", g.Name, strings.Join(logins, " "))
				}
				return err
			}),
		installationCommand("add NAME", cobra.ExactArgs(1), text{"Make a group", "创建用户组"},
			func(ctx context.Context, _ *cobra.Command, a administration, args []string) error {
				return a.CreateGroup(ctx, args[0])
			}),
		inGroup("rename NAME NEW", 2, text{"Rename a group", "重命名用户组"},
			func(ctx context.Context, a administration, g client.Group, to string) error {
				return a.RenameGroup(ctx, g.ID, to)
			}),
		inGroup("delete NAME", 1, text{"Delete a group, and no account", "删除用户组（不影响账号）"},
			func(ctx context.Context, a administration, g client.Group, _ string) error {
				return a.DeleteGroup(ctx, g.ID)
			}),
		inGroup("join NAME LOGIN", 2, text{"Put an account into a group", "将账号加入用户组"},
			member(func(a administration, ctx context.Context, g, u string) error { return a.AddMember(ctx, g, u) })),
		inGroup("leave NAME LOGIN", 2, text{"Take an account out of a group", "将账号移出用户组"},
			member(func(a administration, ctx context.Context, g, u string) error { return a.RemoveMember(ctx, g, u) })),
	)
	return cmd
}

func registrationCommand() *cobra.Command {
	return installationCommand("registration [closed|invite|sms|open]", cobra.MaximumNArgs(1), text{
		"Show who may make an account, or change it: nobody, who is invited, who shows a phone, anybody",
		"查看或修改注册策略：关闭、仅邀请、短信验证、开放",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, args []string) error {
		if len(args) > 0 {
			return a.SetRegistration(ctx, args[0])
		}
		now, err := a.Registration(ctx)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), now)
		}
		return err
	})
}

func methodsCommand() *cobra.Command {
	var asJSON bool
	twoOrNone := func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return errors.New(say(text{"name the way that is to be turned on or off", "请指明要开启或关闭的登录方式"}))
		}
		return cobra.MaximumNArgs(2)(cmd, args)
	}
	cmd := installationCommand("methods [on|off NAME]", twoOrNone, text{
		"Show the ways to sign in, or turn one on or off: password, sms, passkey, or a site's name",
		"查看登录方式，或开启、关闭其一：password、sms、passkey 或网站名称",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, args []string) error {
		if len(args) == 2 {
			if args[0] != "on" && args[0] != "off" {
				return usageError(errors.New(say(text{"it is turned on or off", "只能为 on 或 off"})))
			}
			return a.TurnMethod(ctx, args[1], args[0] == "on")
		}
		all, err := a.Methods(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return writeReport(cmd.OutOrStdout(), all)
		}
		for _, m := range all {
			state := text{"on", "开启"}
			switch {
			case !m.Ready:
				state = text{"not set up", "未配置"}
			case !m.On:
				state = text{"off", "关闭"}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", m.Name, say(state))
		}
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func usageCommand() *cobra.Command {
	var asJSON bool
	cmd := installationCommand("usage", cobra.NoArgs, text{"Show how much every account has stored, the most first", "查看各账号的存储用量，由多到少"},
		func(ctx context.Context, cmd *cobra.Command, a administration, _ []string) error {
			all := []client.DriveUse{}
			for d, err := range a.Storage(ctx) {
				if err != nil {
					return err
				}
				all = append(all, d)
			}
			if asJSON {
				return writeReport(cmd.OutOrStdout(), all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, d := range all {
				quota := say(text{"no limit", "不限"})
				if d.Quota > 0 {
					quota = bytesText(d.Quota)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", d.Login, bytesText(d.Used), quota, d.Files)
			}
			return w.Flush()
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func eventsCommand() *cobra.Command {
	var action, login, since, until string
	cmd := installationCommand("events", cobra.NoArgs, text{
		"Print the audit log, the oldest first, a JSON object on each line", "导出审计日志：由旧到新，每行一个 JSON 对象",
	}, func(ctx context.Context, cmd *cobra.Command, a administration, _ []string) error {
		filters := url.Values{}
		if login != "" {
			u, err := a.UserByLogin(ctx, login)
			if err != nil {
				return err
			}
			filters.Set("userId", u.ID)
		}
		for name, value := range map[string]string{"action": action, "since": since, "until": until} {
			if value != "" {
				filters.Set(name, value)
			}
		}
		return a.ExportEvents(ctx, cmd.OutOrStdout(), filters)
	})
	cmd.Flags().StringVar(&action, "action", "", say(text{"only this action, or those that begin with it if it ends in a dot, as signin.", "仅该操作；以点结尾则为前缀，如 signin."}))
	cmd.Flags().StringVar(&login, "user", "", say(text{"only what this account did, or what was done to it", "仅与该账号有关的记录"}))
	cmd.Flags().StringVar(&since, "since", "", say(text{"only from this time on (RFC 3339)", "起始时间（RFC 3339）"}))
	cmd.Flags().StringVar(&until, "until", "", say(text{"only before this time (RFC 3339)", "截止时间（RFC 3339）"}))
	return cmd
}

// installationCommand is a command about the installation.
func installationCommand(use string, args cobra.PositionalArgs, short text,
	do func(context.Context, *cobra.Command, administration, []string) error,
) *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: say(short),
		Args:  args,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.administer(cmd, func(ctx context.Context, a administration) error { return do(ctx, cmd, a, args) })
		},
	}
	f.add(cmd)
	return cmd
}
