/** The frame of our own pages (login, inbox): one small stylesheet, light and dark, no script, nothing from elsewhere. */
import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { type Html, html, textOf } from './html.ts';

const style = `
:root{color-scheme:light dark;--ink:#1b2330;--soft:#5b6675;--line:#d9dee6;--paper:#fff;--back:#f4f6f9;--act:#1d4ed8;--on:#fff;--bad:#b42318;--badback:#fdecea}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf1;--soft:#9aa6b6;--line:#303a48;--paper:#1a212c;--back:#10151d;--act:#7aa5ff;--on:#0b1220;--bad:#ff9d94;--badback:#3a1d1c}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header{display:flex;gap:8px 20px;flex-wrap:wrap;align-items:center;padding:10px 20px;background:var(--paper);border-bottom:1px solid var(--line)}
header b{font-size:17px}
header nav{display:flex;gap:16px;flex:1}
main{max-width:1080px;margin:0 auto;padding:20px}
a{color:var(--act);text-decoration:none}a:hover{text-decoration:underline}
a[aria-current]{color:var(--ink);font-weight:600}
h1{font-size:20px;line-height:1.3;margin:0 0 4px;overflow-wrap:anywhere}
.soft{color:var(--soft)}.row{display:flex;gap:8px;flex-wrap:wrap;align-items:center;justify-content:space-between;margin-bottom:16px}
.row form,.tools{display:flex;gap:8px}
button,.button{font:inherit;padding:6px 14px;border-radius:6px;border:1px solid var(--line);background:var(--paper);color:var(--ink);cursor:pointer}
button.main{background:var(--act);border-color:var(--act);color:var(--on);font-weight:600}
button:focus-visible,a:focus-visible,input:focus-visible{outline:2px solid var(--act);outline-offset:2px}
.card{background:var(--paper);border:1px solid var(--line);border-radius:8px;overflow:hidden}
.note{padding:10px 14px;margin:0 0 16px;border-radius:8px;background:var(--badback);color:var(--bad)}
.list{list-style:none;margin:0;padding:0}
.list li+li{border-top:1px solid var(--line)}
.list a{display:grid;grid-template-columns:minmax(0,15rem) minmax(0,1fr) auto;gap:2px 16px;padding:10px 14px;color:inherit}
.list a:hover{background:var(--back);text-decoration:none}
.list span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.list .subject{font-weight:600}
.empty{padding:48px 20px;text-align:center}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 16px;margin:8px 0 16px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.tabs{display:flex;gap:16px;flex-wrap:wrap;padding:8px 14px;border-bottom:1px solid var(--line)}
iframe{display:block;width:100%;height:60vh;border:0;background:#fff;color-scheme:light}
pre{margin:0;padding:14px;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
.login{max-width:340px;margin:12vh auto 0;padding:24px}
.login h1{margin-bottom:16px}
.login label{display:block;margin-bottom:14px}
.login label span{display:block;margin-bottom:4px}
input{font:inherit;width:100%;padding:8px 10px;border-radius:6px;border:1px solid var(--line);background:var(--back);color:var(--ink)}
.login button{width:100%;padding:9px}
@media(max-width:640px){header{padding:10px 14px}main{padding:14px}.list a{grid-template-columns:minmax(0,1fr) auto}.list .subject{grid-column:1/-1;grid-row:2;white-space:normal}dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** What a page of ours may load: its own stylesheet, frames and forms of this origin, images inside the page. */
const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;

// Not built by the html tag: a stylesheet must not be escaped.
const styleTag = `<style>${style}</style>`;

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Which entry of the header is this page; undefined leaves the header away (login). */
  readonly current?: 'inbox';
  /** Reload by itself after so many seconds. */
  readonly refreshSeconds?: number;
}

/** Sends the page with a closed content security policy; never cached, as it shows mail or asks for a password. */
export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  const document = html`<title>${page.title} · Jobfleet</title>
${page.refreshSeconds !== undefined && html`<meta http-equiv="refresh" content="${page.refreshSeconds}">`}
</head>
<body>
${page.current !== undefined && html`<header><b>Jobfleet</b><nav><a href="/board">Board</a><a href="/dev/inbox" aria-current="page">Inbox</a></nav></header>`}
<main>${page.body}</main>
</body>
</html>
`;
  return reply
    .header('content-security-policy', policy)
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'same-origin')
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n${styleTag}\n${textOf(document)}`,
    );
}
