// Runs the browser story (web/e2e) against a freshly started bin/gopan with an empty data folder, and sites to sign in by,
// then stops the server and checks that it stops cleanly. Arguments are passed on to Playwright.
//
// CHROMIUM names the browser; without it the first Chromium or Chrome on the PATH is taken.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  accessSync,
  constants,
  mkdtempSync,
  readFileSync,
  rmSync,
  openSync,
  closeSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

const root = resolve(import.meta.dirname, "../..");
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 30_000; // What the README promises of Ctrl-C.

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const dir of (process.env.PATH ?? "").split(delimiter)) {
      const file = join(dir, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not in this folder.
      }
    }
  }
  throw new Error("no Chromium: set CHROMIUM to the program");
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function untilReady(url, server) {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline) {
    if (server.exitCode !== null)
      throw new Error(`gopan serve ended at once with ${server.exitCode}`);
    try {
      const answer = await fetch(`${url}/readyz`);
      if (answer.ok) return;
    } catch {
      // Not listening yet.
    }
    await delay(50);
  }
  throw new Error(
    `gopan serve was not ready within ${START_LIMIT_MS / 1000} s`,
  );
}

// stop asks as Ctrl-C does and returns a complaint, or nothing when the server ended by itself and well.
async function stop(server) {
  if (server.exitCode !== null || server.signalCode !== null) {
    return `gopan serve ended before it was asked to (${server.exitCode ?? server.signalCode})`;
  }
  const ended = once(server, "exit");
  server.kill("SIGINT");
  const killer = setTimeout(() => server.kill("SIGKILL"), STOP_LIMIT_MS);
  const [code, signal] = await ended;
  clearTimeout(killer);
  if (signal === "SIGKILL")
    return `gopan serve did not stop within ${STOP_LIMIT_MS / 1000} s of SIGINT`;
  if (code !== 0) return `gopan serve stopped with ${code ?? signal}`;
  return undefined;
}

const data = mkdtempSync(join(tmpdir(), "gopan-e2e-"));
const logFile = join(data, "server.log");
const log = openSync(logFile, "w");
const port = await freePort();
// A name: passkeys belong to one, and an address of digits is none.
const url = `http://localhost:${port}`;
const secret = randomBytes(12).toString("base64url");
const env = {
  ...process.env,
  GOPAN_ADMIN_PASSWORD: randomBytes(12).toString("base64url"),
  GOPAN_URL: url,
  GOPAN_PROVIDER_GITHUB_SECRET: secret,
  GOPAN_PROVIDER_COMPANY_SECRET: secret,
  OAUTHTEST_SECRET: secret,
  // Codes by SMS are printed where the drive was started.
  GOPAN_LOG: logFile,
};

// startSites runs the sites to sign in by, and gives where each is.
async function startSites() {
  const program = join(data, "sites");
  const build = spawn(
    "go",
    ["build", "-o", program, "./internal/oauth/oauthtest/serve"],
    { cwd: root, stdio: "inherit" },
  );
  const [code] = await once(build, "exit");
  if (code !== 0)
    throw new Error("cannot build internal/oauth/oauthtest/serve");
  const sites = spawn(
    program,
    ["-client", "gopan", "-github", "127.0.0.1:0", "-oidc", "127.0.0.1:0"],
    {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const where = {};
  for await (const line of createInterface({ input: sites.stdout })) {
    if (line === "ready") break;
    const [name, at] = line.split(" ");
    where[name] = at;
  }
  return { sites, where };
}

const problems = [];
const { sites, where } = await startSites();
const settings = join(data, "gopan.yaml");
writeFileSync(
  settings,
  `publicUrl: ${url}
auth:
  sms: {driver: console}
  providers:
    - {name: github, kind: github, title: GitHub, clientId: gopan, baseUrl: "${where.github}", register: true}
    - {name: company, kind: oidc, title: Company, clientId: gopan, issuer: "${where.oidc}", register: true}
`,
  { mode: 0o600 },
);
const server = spawn(
  join(root, "bin/gopan"),
  [
    "serve",
    "--config",
    settings,
    "--data",
    join(data, "drive"),
    "--listen",
    `127.0.0.1:${port}`,
  ],
  { env, stdio: ["ignore", log, log] },
);
server.on("error", (err) => problems.push(`bin/gopan: ${err.message}`));
try {
  await untilReady(url, server);
  const story = spawn(
    "npx",
    ["--no-install", "playwright", "test", ...process.argv.slice(2)],
    {
      cwd: join(root, "web"),
      env: { ...env, CHROMIUM: findChromium() },
      stdio: "inherit",
    },
  );
  const [code] = await once(story, "exit");
  if (code !== 0) problems.push(`the browser story failed (${code})`);
} catch (err) {
  problems.push(err.message);
} finally {
  if (server.pid !== undefined) {
    const complaint = await stop(server);
    if (complaint) problems.push(complaint);
  }
  sites.kill("SIGTERM");
  closeSync(log);
}
if (problems.length > 0) {
  console.error(`--- the server's log\n${readFileSync(logFile, "utf8")}---`);
  for (const problem of problems) console.error(`e2e: ${problem}`);
  process.exitCode = 1;
}
rmSync(data, { recursive: true, force: true });
