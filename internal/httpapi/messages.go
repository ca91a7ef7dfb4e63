package httpapi

import "github.com/livil/gopan/internal/errs"

// messages are the sentences that people read, by code, in every language that we speak. A test holds them
// against the codes in the source.
var messages = map[string]struct{ en, zh string }{
	// The kinds.
	"internal":        {"Something went wrong on the server.", "服务器出现错误。"},
	"invalid":         {"The request is not valid.", "请求无效。"},
	"unauthenticated": {"Please sign in.", "请先登录。"},
	"denied":          {"You are not allowed to do this.", "你没有权限进行此操作。"},
	"not_found":       {"It does not exist.", "内容不存在。"},
	"exists":          {"It exists already.", "内容已存在。"},
	"conflict":        {"This cannot be done in the present state.", "当前状态下无法完成此操作。"},
	"stale":           {"It was changed meanwhile. Reload and try again.", "内容已被更改，请刷新后重试。"},
	"too_large":       {"The request is too large.", "请求过大。"},
	"over_quota":      {"There is not enough space.", "空间不足。"},
	"busy":            {"The server is busy. Try again in a moment.", "服务器繁忙，请稍后重试。"},
	"corrupt":         {"The stored content is damaged.", "存储的内容已损坏。"},
	"unsupported":     {"This format or encoding is not accepted here.", "不支持此格式或编码。"},
	"too_many":        {"Too many requests. Wait a little and try again.", "请求过于频繁，请稍后再试。"},
	"canceled":        {"The request was cancelled.", "请求已取消。"},

	// Requests.
	"bad_json":           {"The body is not a valid JSON object.", "请求正文不是有效的 JSON 对象。"},
	"bad_query":          {"The query of the URL is malformed.", "URL 查询参数格式错误。"},
	"bad_field":          {"A value is missing or not valid.", "有字段缺失或无效。"},
	"unknown_field":      {"There is no such field.", "存在未知字段。"},
	"not_json":           {"The body must be application/json.", "请求正文必须为 application/json。"},
	"bad_cursor":         {"The cursor is not valid here. Start from the first page.", "分页游标无效，请从第一页重新开始。"},
	"bad_time":           {"The time is not valid (RFC 3339).", "时间格式无效（应为 RFC 3339）。"},
	"encoded_body":       {"Send the bytes as they are, without Content-Encoding.", "请直接发送原始数据，不要使用 Content-Encoding。"},
	"key_reused":         {"This Idempotency-Key was used for another request.", "此 Idempotency-Key 已用于其他请求。"},
	"method_not_allowed": {"This method is not allowed here.", "此处不允许使用该方法。"},
	"foreign_origin":     {"The request came from another site and was refused.", "请求来自其他网站，已被拒绝。"},
	"no_such_route":      {"There is nothing at this address.", "此地址不存在。"},

	// Names and the tree.
	"bad_name":         {"This name cannot be used.", "该名称不可用。"},
	"bad_path":         {"This path cannot be used.", "该路径不可用。"},
	"name_taken":       {"Something of this name is there already.", "已存在同名的内容。"},
	"parent_not_found": {"The folder that should hold it does not exist.", "上级文件夹不存在。"},
	"parent_gone":      {"The folder it was in is gone. Choose another one.", "原来的文件夹已不存在，请选择其他文件夹。"},
	"claim_lost":       {"The stored content that this upload was to use is gone. Upload the file itself.", "本次上传要复用的内容已不存在，请重新上传文件。"},
	"not_a_folder":     {"There is a file where a folder should be.", "目标位置是文件，不是文件夹。"},
	"is_a_folder":      {"This is a folder, not a file.", "这是文件夹，不是文件。"},
	"is_the_root":      {"This cannot be done with the drive itself.", "不能对网盘根目录执行此操作。"},
	"into_itself":      {"A folder cannot be moved into itself.", "不能将文件夹移动到其自身内部。"},
	"other_drive":      {"It cannot be moved to another drive.", "不能移动到其他网盘。"},
	"too_deep":         {"Folders would be nested too deeply.", "文件夹嵌套层级过深。"},
	"path_too_long":    {"The path would be too long.", "路径过长。"},

	// Bytes.
	"quota_exceeded":        {"The drive has not enough space left.", "网盘剩余空间不足。"},
	"disk_full":             {"The server's disk is full.", "服务器磁盘已满。"},
	"size_mismatch":         {"Other bytes arrived than were announced. Nothing was stored.", "收到的数据长度与声明不符，未保存任何内容。"},
	"digest_mismatch":       {"The bytes are not what their digest says. Nothing was stored.", "数据与校验值不符，未保存任何内容。"},
	"bad_digest":            {"The digest is malformed.", "校验值格式错误。"},
	"body_interrupted":      {"The upload was cut off. Nothing was stored.", "上传中断，未保存任何内容。"},
	"bad_block":             {"There is no such block, or it has another length.", "不存在该数据块，或数据块长度不符。"},
	"block_mismatch":        {"The block is not what was announced. Nothing of it was stored.", "数据块与声明的校验值不符，未保存该数据块。"},
	"block_differs":         {"This block arrived before, with other bytes: the file has changed. Start a new upload.", "此前收到的该数据块内容不同：文件已变化，请重新开始上传。"},
	"blocks_missing":        {"Parts of the content have not arrived yet.", "部分数据尚未上传。"},
	"upload_complete":       {"This upload is complete.", "此次上传已完成。"},
	"proof_failed":          {"That does not prove that you have the content. Upload the file itself.", "未能证明你拥有该内容，请上传文件本身。"},
	"bad_entry":             {"Only files and folders can be uploaded.", "只能上传文件和文件夹。"},
	"not_tar":               {"The body must be application/x-tar.", "请求正文必须为 application/x-tar。"},
	"bad_tar":               {"The body is not a tar stream, or was cut off.", "请求正文不是有效的 tar 数据流，或传输中断。"},
	"content_unavailable":   {"The stored content is damaged or missing. Tell the administrator the request id.", "存储的内容已损坏或丢失，请将请求编号告知管理员。"},
	"no_such_version":       {"The file has no such version.", "文件没有该版本。"},
	"archive_too_large":     {"This is too much for one archive. Download it in parts.", "内容过多，无法打包为一个压缩包，请分批下载。"},
	"too_many_downloads":    {"Too many downloads at once. Wait for one to end.", "同时下载数过多，请等待其中一个完成。"},
	"range_not_satisfiable": {"The file has no bytes in this range.", "文件中没有所请求范围的数据。"},

	// Signing in.
	"bad_credentials": {"The login or the password is wrong.", "用户名或密码错误。"},
	"bad_refresh":     {"The session has ended. Please sign in again.", "会话已结束，请重新登录。"},
	"locked_out":      {"Too many failed attempts. Wait a little and try again.", "失败次数过多，请稍后再试。"},
	"totp_required":   {"Enter the code of your authenticator app, or a recovery code.", "请输入身份验证器中的验证码或恢复码。"},
	"bad_totp":        {"The code of the authenticator app is wrong or was used already.", "身份验证器的验证码错误或已使用过。"},
	"bad_code":        {"The code is wrong or has expired. Ask for a new one.", "验证码错误或已过期，请重新获取。"},
	"bad_passkey":     {"This passkey is not known here, or its answer came too late.", "无法识别此通行密钥，或响应超时。"},
	"bad_link":        {"This link is not valid any more. Ask for a new one.", "此链接已失效，请重新获取。"},

	"sms_unavailable":      {"No message can be sent at the moment. Try again later, or sign in another way.", "暂时无法发送短信，请稍后重试或使用其他方式登录。"},
	"method_off":           {"This way to sign in is turned off here. Use another one.", "此处已关闭该登录方式，请使用其他方式。"},
	"sms_off":              {"Signing in by SMS is turned off here.", "此处未启用短信登录。"},
	"bad_phone":            {"This is not a phone number that can be sent a message.", "此号码无法接收短信。"},
	"code_wait":            {"A code was sent a moment ago. Wait a little before asking for another.", "验证码刚刚发送过，请稍后再获取。"},
	"provider_unavailable": {"The other site does not answer. Try again in a moment, or sign in another way.", "第三方网站无响应，请稍后重试或使用其他方式登录。"},
	"provider_timeout":     {"The other site does not answer. Try again in a moment, or sign in another way.", "第三方网站无响应，请稍后重试或使用其他方式登录。"},
	"provider_refused":     {"The other site did not let you in, or you did not allow it.", "第三方网站拒绝了登录，或你未授权。"},
	"bad_state":            {"This sign-in was not begun in this browser, or took too long. Start again.", "此登录并非由当前浏览器发起，或已超时，请重新开始。"},
	"identity_taken":       {"That account is linked to somebody else here.", "该第三方账号已关联其他用户。"},
	"no_such_provider":     {"One cannot sign in by this site here.", "此处不支持通过该网站登录。"},

	// Accounts.
	"registration_closed": {"No accounts can be made here. Ask an administrator for an invitation.", "此处未开放注册，请向管理员索取邀请。"},
	"login_taken":         {"This login is taken.", "该用户名已被使用。"},
	"bad_login":           {"This login cannot be used.", "该用户名不可用。"},
	"phone_taken":         {"This phone belongs to another account.", "该手机号已属于其他账号。"},
	"common_password":     {"This password is easy to guess. Choose another one.", "此密码容易被猜到，请换一个。"},
	"wrong_password":      {"The current password is wrong.", "当前密码错误。"},
	"reauthenticate":      {"Sign in again to do this.", "请重新登录后再进行此操作。"},
	"last_way_in":         {"Without it you could not sign in any more. Set a password or another way first.", "移除后你将无法登录，请先设置密码或其他登录方式。"},
	"last_admin":          {"There must be an administrator left.", "必须至少保留一名管理员。"},
	"totp_is_on":          {"It is turned on already.", "已经启用。"},
	"passkeys_off":        {"Passkeys need this drive's address to be HTTPS.", "使用通行密钥要求网盘以 HTTPS 访问。"},
	"totp_is_off":         {"A second factor is not turned on.", "尚未启用两步验证。"},
	"account_closed":      {"This account is disabled.", "该账号已被停用。"},
	"too_many_keys":       {"There are too many of these. Remove some first.", "数量已达上限，请先删除一些。"},
	"key_not_enough":      {"An app password or token cannot do this. Sign in.", "应用密码或令牌无权执行此操作，请登录。"},
	"read_only_key":       {"This app password or token can only read.", "此应用密码或令牌只有只读权限。"},
	"key_limited_to_folder": {
		"This app password or token opens one folder only, and cannot do this.", "此应用密码或令牌仅限访问一个文件夹，无权执行此操作。",
	},
	"group_exists": {"A group of this name exists.", "已存在同名的用户组。"},

	// Parts that are out of order.
	"database_unavailable": {"The database does not answer. Try again in a moment.", "数据库暂时不可用，请稍后重试。"},
	"store_unavailable":    {"The storage does not answer. Try again in a moment.", "存储暂时不可用，请稍后重试。"},
	"kv_unavailable":       {"A part of the server does not answer. Try again in a moment.", "服务器部分组件暂时不可用，请稍后重试。"},
	"etcd_unavailable":     {"A part of the server does not answer. Try again in a moment.", "服务器部分组件暂时不可用，请稍后重试。"},
	"role_unavailable":     {"A part of the server does not answer. Try again in a moment.", "服务器部分组件暂时不可用，请稍后重试。"},
	"not_ready":            {"The server is starting or a part of it does not answer.", "服务器正在启动或部分组件不可用。"},
}

// sentence is what a person reads about a code, or about its kind where the code is not known.
func sentence(lang, code string, kind errs.Kind) string {
	m, ok := messages[code]
	if !ok {
		m = messages[kind.String()]
	}
	if lang == "zh" {
		return m.zh
	}
	return m.en
}
