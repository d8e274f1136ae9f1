import { createHash } from 'node:crypto';

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}
code,pre{font:14px/1.5 ui-monospace,monospace;background:#f2f4f6;border-radius:4px}code{padding:.1em .3em}
pre{padding:.8em 1em;overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#15181c;color:#dfe3e8}code,pre{background:#22272e}a{color:#7ab7ff}}`;

/** The policy that lets the page have its own style and nothing else. */
export const welcomePolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; frame-ancestors 'none'`;

/** What somebody sees who opens the server in a browser: what it is, and how to connect. */
export function welcomePage(version: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Hypostyle</title>
<style>${style}</style></head>
<body>
<h1>Hypostyle</h1>
<p>This is a Hypostyle host, version ${version}: an open virtual datacenter that speaks the vSphere API at
<code>/sdk</code>. The tools that you know work with it.</p>
<h2>Connect</h2>
<p>The user is <code>root</code>. The password is in the file <code>password</code> of the server's home folder.</p>
<pre>hypo ls

export GOVC_URL=https://root@SERVER:PORT/sdk GOVC_PASSWORD=… GOVC_INSECURE=1
govc about

from pyVim.connect import SmartConnect
SmartConnect(host='SERVER', port=PORT, user='root', pwd='…', disableSslCertValidation=True)</pre>
<h2>More</h2>
<ul>
<li><a href="/folder">Files on datastores</a> (asks for the password)</li>
<li><a href="/healthz">Health</a>, as JSON</li>
<li><code>/sdk</code>: the API, as SOAP and as JSON</li>
</ul>
</body>
</html>
`;
}
