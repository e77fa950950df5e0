/** PDFs and XML that no reader should trip over. */
import { makePdf, textPage } from '../support/make-pdf.ts';
import {
  anyResult,
  bad,
  type DocumentCase,
  quick,
  read,
  reading,
  sentence,
  tooMuch,
  whatever,
} from './document-case.ts';

export function pdfs(random: () => number): DocumentCase[] {
  const page = textPage(sentence.map((one) => one));
  const whole = makePdf({ pages: [page] });
  const of = (name: string, bytes: Uint8Array, right: readonly string[], withinMs = quick): DocumentCase => ({
    name,
    bytes,
    right,
    withinMs,
  });
  const text = (from: string | RegExp, to: string): Buffer =>
    Buffer.from(whole.toString('latin1').replace(from, to), 'latin1');
  const kids = (count: number): Buffer =>
    text(/\/Kids \[(\d+) 0 R\] \/Count 1/, `/Kids [${'6 0 R '.repeat(count)}] /Count ${count}`);
  const cut = [0.1, 0.5, 0.9].map((share) =>
    of(`a PDF cut after ${share * 100} %`, whole.subarray(0, Math.floor(whole.byteLength * share)), whatever, reading),
  );
  const flipped = Array.from({ length: 15 }, (_, place) => {
    const copy = Buffer.from(whole);
    for (let flips = 0; flips < 10; flips += 1) {
      const at = 9 + Math.floor(random() * (copy.byteLength - 9));
      copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
    return of(`a PDF with flipped bits ${place}`, copy, whatever, reading);
  });
  return [
    of('a PDF', whole, ['completed']),
    of('a PDF with junk in front', Buffer.concat([Buffer.from('junk\n'), whole]), read),
    of('a PDF without its cross-reference', text(/xref[\s\S]*$/, ''), [...read, ...bad]),
    of('a PDF whose cross-reference points elsewhere', text(/startxref\n\d+/, 'startxref\n7'), read),
    of('a PDF with no pages', makePdf({ pages: [] }), bad),
    of('a PDF of an empty page', makePdf({ pages: [{}] }), ['failed']),
    of('a PDF of 50 pages', makePdf({ pages: Array.from({ length: 50 }, () => page) }), ['completed'], reading),
    of('a PDF of 51 pages', makePdf({ pages: Array.from({ length: 51 }, () => page) }), tooMuch),
    of('100,000 pages in 600 kB', kids(100_000), [...tooMuch, ...bad], reading),
    of('a page that is its own parent', text(/\/Kids \[\d+ 0 R\]/, '/Kids [2 0 R]'), whatever),
    of('a page 14,400 points wide', makePdf({ pages: [{ ...page, size: [14_400, 14_400] }] }), read),
    of('a page without an area', makePdf({ pages: [{ ...page, size: [0, 0] }] }), whatever),
    of('a page of less than nothing', text('[0 0 595 842]', '[595 842 0 0]'), whatever),
    of('a page as wide as numbers go', text('[0 0 595 842]', '[0 0 1e38 1e38]'), whatever),
    ...[90, 180, 270].map((rotate) =>
      of(`a page shown turned by ${rotate}°`, makePdf({ pages: [{ ...page, rotate }] }), ['completed']),
    ),
    of(
      'an encrypted PDF',
      text(
        '/Root 1 0 R',
        '/Root 1 0 R /Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O (12345678901234567890123456789012) /U (12345678901234567890123456789012) >> /ID [(a) (b)]',
      ),
      bad,
    ),
    of(
      'a PDF encrypted nobody knows how',
      text('/Root 1 0 R', '/Root 1 0 R /Encrypt << /Filter /Own /V 99 >> /ID [(a) (b)]'),
      bad,
    ),
    of(
      'a PDF that runs JavaScript',
      makePdf({
        pages: [page],
        catalog: '/OpenAction << /S /JavaScript /JS (app.launchURL\\("http://127.0.0.1/"\\)) >>',
      }),
      read,
    ),
    of(
      'a PDF that starts a program',
      makePdf({ pages: [page], catalog: '/OpenAction << /S /Launch /F (/bin/sh) >>' }),
      read,
    ),
    of(
      'a PDF that opens an address',
      makePdf({ pages: [page], catalog: '/OpenAction << /S /URI /URI (http://127.0.0.1/) >>' }),
      read,
    ),
    of('a PDF with an XFA form', makePdf({ pages: [page], catalog: '/AcroForm << /XFA (<xdp/>) /Fields [] >>' }), read),
    of(
      'a PDF with a program inside',
      makePdf({ pages: [page], files: [{ name: 'run.exe', bytes: Buffer.from('MZ') }] }),
      read,
    ),
    of('a picture that is no JBIG2', brokenPicture('/JBIG2Decode'), ['failed'], reading),
    of('a picture that is no JPX', brokenPicture('/JPXDecode'), ['failed'], reading),
    of('a picture that is no JPEG', brokenPicture('/DCTDecode'), ['failed'], reading),
    of('a picture that is no Flate', brokenPicture('/FlateDecode'), ['failed'], reading),
    of('a form that draws itself', formPdf(1, 1), [...anyResult, ...bad, ...tooMuch], reading),
    ...cut,
    ...flipped,
  ];
}

function brokenPicture(filter: string): Buffer {
  const picture = { width: 100, height: 100, data: Buffer.from('this is not what the filter expects'.repeat(20)) };
  const file = makePdf({ pages: [{ picture }] }).toString('latin1');
  return Buffer.from(file.replace('/BitsPerComponent 8', `/BitsPerComponent 8 /Filter ${filter}`), 'latin1');
}

/** Forms that draw the next one `fan` times: fan^depth pieces of text. `depth` 1 draws itself. */
export function formPdf(depth: number, fan: number): Buffer {
  const whole = makePdf({ pages: [textPage(['x'])] }).toString('latin1');
  const first = 100;
  const forms = Array.from({ length: depth }, (_, place) => {
    const next = place === depth - 1 ? first : first + place + 1;
    const isLeaf = depth > 1 && place === depth - 1;
    const content = isLeaf ? '0 0 5 5 re f' : '/X Do '.repeat(fan);
    return `${first + place} 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 600 850] /Resources << /XObject << /X ${next} 0 R >> >> /Length ${content.length} >>\nstream\n${content}\nendstream\nendobj\n`;
  }).join('');
  const named = whole
    .replace('/Resources << ', `/Resources << /XObject << /X ${first} 0 R >> `)
    .replace(/ {2}>> >>\nendobj/, ' >> >>\nendobj')
    .replace(/<< +\/Length (\d+) >>\nstream\n/, (_, length) => `<< /Length ${Number(length) + 6} >>\nstream\n/X Do\n`);
  // Without a cross-reference that fits, readers find the objects by looking for them.
  return Buffer.from(
    named.replace(/xref[\s\S]*trailer/, `${forms}trailer`).replace(/startxref\n\d+/, 'startxref\n0'),
    'latin1',
  );
}

export function xml(): DocumentCase[] {
  const of = (name: string, text: string, right: readonly string[] = bad): DocumentCase => ({
    name: `XML: ${name}`,
    bytes: Buffer.from(text),
    type: 'invoice',
    right,
    withinMs: quick,
  });
  const laughs = Array.from({ length: 12 }, (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`).join(
    '',
  );
  return [
    of('no invoice', '<rss><channel/></rss>'),
    of('an empty root', '<Invoice/>'),
    of('an invoice that says nothing', '<Invoice><Note>-</Note></Invoice>', ['failed']),
    of('a DTD elsewhere', '<!DOCTYPE Invoice SYSTEM "http://127.0.0.1:1/x.dtd"><Invoice/>'),
    of(
      'a file of the machine',
      '<?xml version="1.0"?><!DOCTYPE I [<!ENTITY x SYSTEM "file:///etc/passwd">]><Invoice><ID>&x;</ID></Invoice>',
    ),
    of(
      'a billion laughs',
      `<?xml version="1.0"?><!DOCTYPE I [<!ENTITY l0 "ha">${laughs}]><Invoice><ID>&l12;</ID></Invoice>`,
    ),
    of('not closed', '<Invoice><ID>1'),
    of('closed in the wrong order', '<Invoice><a><b></a></b></Invoice>'),
    of('100,000 levels', `<Invoice>${'<a>'.repeat(100_000)}`),
    of('a prototype', '<Invoice><__proto__><x>1</x></__proto__></Invoice>'),
    of(
      'an amount beyond numbers',
      '<Invoice><ID>1</ID><LegalMonetaryTotal><PayableAmount>1e999</PayableAmount></LegalMonetaryTotal></Invoice>',
      ['failed'],
    ),
    of(
      'an amount that is text',
      '<Invoice><ID>1</ID><LegalMonetaryTotal><PayableAmount>NaN</PayableAmount></LegalMonetaryTotal></Invoice>',
      ['failed'],
    ),
    of('an encoding nobody knows', '<?xml version="1.0" encoding="x-none"?><Invoice/>'),
    of(
      '10,001 lines',
      `<Invoice><ID>1</ID>${'<InvoiceLine><LineExtensionAmount>1</LineExtensionAmount></InvoiceLine>'.repeat(10_001)}</Invoice>`,
      tooMuch,
    ),
    of('11 MB', `<Invoice><Note>${'x'.repeat(11_000_000)}</Note></Invoice>`, tooMuch),
  ];
}

export function embeddedXml(): DocumentCase[] {
  const inside = (name: string, text: string, right: readonly string[]): DocumentCase => ({
    name: `a PDF with XML inside: ${name}`,
    bytes: makePdf({
      pages: [textPage(['Seller Inc.', ['Invoice No: A-77', 'Invoice Date: 2026-02-17'], ['Total:', 'USD 30.00']])],
      files: [{ name: 'factur-x.xml', bytes: Buffer.from(text) }],
    }),
    type: 'invoice',
    right,
    withinMs: reading,
  });
  return [
    // The print is read, and a person looks.
    inside('a DTD', '<!DOCTYPE I [<!ENTITY x SYSTEM "file:///etc/passwd">]><Invoice><ID>&x;</ID></Invoice>', [
      'review_required',
    ]),
    inside('not well-formed', '<Invoice><ID>', ['review_required']),
    inside('no invoice', '<rss/>', read),
    inside('empty', ' ', [...read]),
  ];
}
