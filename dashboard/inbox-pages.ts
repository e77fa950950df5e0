/** What a person sees under /dev/inbox. Pure: mail in, page out. */
import type { Attachment, Email } from 'postal-mime';
import { type Html, html } from './html.ts';
import type { InboxMail } from './inbox-store.ts';
import type { Page } from './page.ts';

/** `base` is where the inbox hangs, without a slash at the end. */
export function listPage(base: string, mails: readonly InboxMail[], isRefusing: boolean): Page {
  const title = isRefusing ? 'Accept mail' : 'Refuse mail';
  return {
    title: 'Inbox',
    current: 'inbox',
    refreshSeconds: 10,
    body: html`<div class="row"><div><h1>Inbox</h1><span class="soft">${mails.length} ${mails.length === 1 ? 'mail' : 'mails'}. Everything sent in development ends here.</span></div>
<div class="tools">
<form method="post" action="${base}/refuse"><input type="hidden" name="on" value="${isRefusing ? 'false' : 'true'}"><button${isRefusing && html` class="main"`}>${title}</button></form>
<form method="post" action="${base}/clear"><button>Empty inbox</button></form>
</div></div>
${isRefusing && html`<p class="note" role="status">Mail is refused: every sender is answered 451 until you press “Accept mail”.</p>`}
${mails.length === 0 ? html`<div class="card empty soft">No mail yet. Enqueue an <code>email-sending</code> job and it appears here.</div>` : html`<ul class="card list">${mails.map((mail) => listRow(base, mail))}</ul>`}`,
  };
}

function listRow(base: string, mail: InboxMail): Html {
  return html`<li><a href="${base}/${mail.id}"><span>${mail.to.join(', ')}</span><span class="subject">${mail.subject || '(no subject)'}</span><time class="soft" datetime="${mail.receivedAt}">${shortTime(mail.receivedAt)}</time></a></li>`;
}

export type View = 'html' | 'text' | 'headers';

/** One mail in one of its views; HTML is shown in a frame that may run nothing. */
export function mailPage(base: string, mail: InboxMail, parsed: Email, view: View): Page {
  const here = `${base}/${mail.id}`;
  const tab = (name: View, label: string) =>
    html`<a href="${here}?view=${name}"${view === name && html` aria-current="page"`}>${label}</a>`;
  return {
    title: mail.subject || '(no subject)',
    current: 'inbox',
    body: html`<p><a href="${base}">← All mail</a></p>
<h1>${mail.subject || '(no subject)'}</h1>
<dl>
<dt>From</dt><dd>${mail.from || '(no sender)'}</dd>
<dt>To</dt><dd>${mail.to.join(', ')}</dd>
<dt>Received</dt><dd><time datetime="${mail.receivedAt}">${mail.receivedAt.replace('T', ' ').slice(0, 19)} UTC</time>, ${sizeText(mail.sizeBytes)}</dd>
${parsed.attachments.length > 0 && html`<dt>Attachments</dt><dd>${parsed.attachments.map((one, index) => attachmentLink(here, one, index))}</dd>`}
</dl>
<div class="card"><div class="tabs">${tab('html', 'HTML')}${tab('text', 'Text')}${tab('headers', 'Headers')}<a href="${here}/source" download="${mail.id}.eml">Source</a></div>
${mailBody(here, parsed, view)}</div>`,
  };
}

function mailBody(here: string, parsed: Email, view: View): Html {
  switch (view) {
    case 'html':
      return parsed.html === undefined
        ? html`<pre class="soft">This mail has no HTML part.</pre>`
        : html`<iframe src="${here}/html" sandbox="allow-popups allow-popups-to-escape-sandbox" title="HTML of the mail" referrerpolicy="no-referrer"></iframe>`;
    case 'text':
      return html`<pre>${parsed.text ?? 'This mail has no text part.'}</pre>`;
    case 'headers':
      return html`<pre>${parsed.headers.map((header) => `${header.originalKey}: ${header.value}`).join('\n')}</pre>`;
  }
}

function attachmentLink(here: string, attachment: Attachment, index: number): Html {
  return html`${index > 0 && ', '}<a href="${here}/attachments/${index}">${attachmentName(attachment, index)}</a> <span class="soft">${sizeText(attachmentBytes(attachment).length)}</span>`;
}

/** A name that is safe as a file name everywhere; never empty, at most 100 characters. */
export function attachmentName(attachment: Attachment, index: number): string {
  const name = (attachment.filename ?? '')
    .replace(/[\p{Cc}\p{Cf}/\\:*?"<>|]/gu, '_')
    .replace(/^\.+/, '')
    .slice(0, 100);
  return name.trim() === '' ? `attachment-${index + 1}` : name.trim();
}

export function attachmentBytes({ content }: Attachment): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  return content instanceof ArrayBuffer
    ? Buffer.from(content)
    : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}

/** The mail's own HTML, its `cid:` pictures put in place. It goes out with a policy that forbids everything else. */
export function mailHtml(parsed: Email): string {
  let document = parsed.html ?? '';
  for (const attachment of parsed.attachments) {
    const id = attachment.contentId?.replace(/^<|>$/g, '');
    if (id === undefined || id === '' || !/^image\/(?:png|jpeg|gif|webp|avif)$/.test(attachment.mimeType)) continue;
    document = document.replaceAll(
      `cid:${id}`,
      `data:${attachment.mimeType};base64,${attachmentBytes(attachment).toString('base64')}`,
    );
  }
  return `<base target="_blank">${document}`;
}

function shortTime(at: string): string {
  return at.replace('T', ' ').slice(5, 19);
}

function sizeText(bytes: number): string {
  return bytes < 1_024
    ? `${bytes} B`
    : bytes < 1_048_576
      ? `${(bytes / 1_024).toFixed(1)} KB`
      : `${(bytes / 1_048_576).toFixed(1)} MB`;
}
