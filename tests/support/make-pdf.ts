/** Small PDFs, written by hand: pages of text at places, of pictures, of nothing, and with files inside. */

export interface PdfText {
  readonly text: string;
  /** Points from the left and the top. */
  readonly x: number;
  readonly y: number;
  /** Points; default 11. */
  readonly size?: number;
}

export interface PdfPageParts {
  readonly texts?: readonly PdfText[];
  /** Grey pixels over the whole page. */
  readonly picture?: { readonly width: number; readonly height: number; readonly data: Uint8Array };
  /** Points; default A4. */
  readonly size?: readonly [number, number];
  /** As it is shown: 0, 90, 180, 270. */
  readonly rotate?: number;
}

export interface PdfParts {
  readonly pages: readonly PdfPageParts[];
  readonly files?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** More entries of the catalogue, as PDF writes them. */
  readonly catalog?: string;
}

const escaped = (text: string): string => text.replaceAll(/[\\()]/g, (sign) => `\\${sign}`);

/** Latin text only: the font is one of the fourteen every reader has. */
export function makePdf({ pages, files = [], catalog = '' }: PdfParts): Buffer {
  const objects: Buffer[] = [];
  const add = (head: string, stream?: Uint8Array): number => {
    const body =
      stream === undefined
        ? Buffer.from(head)
        : Buffer.concat([
            Buffer.from(`${head.replace(/>>$/, '')} /Length ${stream.byteLength} >>\nstream\n`),
            stream,
            Buffer.from('\nendstream'),
          ]);
    objects.push(body);
    return objects.length;
  };
  const reserve = (): number => objects.push(Buffer.alloc(0));
  const [root, tree] = [reserve(), reserve()];
  const font = add('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>');
  const kids = pages.map(({ texts = [], picture, size: [width, height] = [595, 842], rotate = 0 }) => {
    const image =
      picture === undefined
        ? undefined
        : add(
            `<< /Type /XObject /Subtype /Image /Width ${picture.width} /Height ${picture.height} /ColorSpace /DeviceGray /BitsPerComponent 8 >>`,
            picture.data,
          );
    const drawn = image === undefined ? '' : `q ${width} 0 0 ${height} 0 0 cm /I Do Q\n`;
    const lines = texts.map(
      ({ text, x, y, size = 11 }) => `BT /F ${size} Tf ${x} ${height - y} Td (${escaped(text)}) Tj ET\n`,
    );
    const content = add('<< >>', Buffer.from(drawn + lines.join(''), 'latin1'));
    const xObject = image === undefined ? '' : `/XObject << /I ${image} 0 R >>`;
    return add(
      `<< /Type /Page /Parent ${tree} 0 R /MediaBox [0 0 ${width} ${height}] /Rotate ${rotate} /Contents ${content} 0 R /Resources << /Font << /F ${font} 0 R >> ${xObject} >> >>`,
    );
  });
  const names = files.map(({ name, bytes }) => {
    const file = add('<< /Type /EmbeddedFile /Subtype /text#2Fxml >>', bytes);
    return `(${escaped(name)}) ${add(`<< /Type /Filespec /F (${escaped(name)}) /UF (${escaped(name)}) /EF << /F ${file} 0 R >> >>`)} 0 R`;
  });
  const embedded = names.length === 0 ? '' : `/Names << /EmbeddedFiles << /Names [${names.join(' ')}] >> >>`;
  objects[root - 1] = Buffer.from(`<< /Type /Catalog /Pages ${tree} 0 R ${embedded} ${catalog} >>`);
  objects[tree - 1] = Buffer.from(
    `<< /Type /Pages /Kids [${kids.map((kid) => `${kid} 0 R`).join(' ')}] /Count ${kids.length} >>`,
  );
  return assemble(objects, root);
}

function assemble(objects: readonly Buffer[], root: number): Buffer {
  const parts: Buffer[] = [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1')];
  let at = parts[0]?.byteLength ?? 0;
  const offsets = objects.map((body, place) => {
    const start = at;
    const whole = Buffer.concat([Buffer.from(`${place + 1} 0 obj\n`), body, Buffer.from('\nendobj\n')]);
    parts.push(whole);
    at += whole.byteLength;
    return start;
  });
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  const size = objects.length + 1;
  parts.push(
    Buffer.from(
      `xref\n0 ${size}\n0000000000 65535 f \n${rows}trailer\n<< /Size ${size} /Root ${root} 0 R >>\nstartxref\n${at}\n%%EOF\n`,
    ),
  );
  return Buffer.concat(parts);
}

/** Lines of cells, 18 points apart, on one page. */
export function textPage(lines: readonly (readonly [string, ...string[]] | string)[]): PdfPageParts {
  const texts = lines.flatMap((line, row) =>
    (typeof line === 'string' ? [line] : line).map((text, column) => ({
      text,
      x: 50 + column * 130,
      y: 60 + row * 18,
    })),
  );
  return { texts };
}

/** An invoice whose lines make 25 and whose total says 30: something for a person. */
export const doubtfulInvoice = (): Buffer =>
  makePdf({
    pages: [
      textPage([
        'Seller Inc.',
        ['Invoice No: A-77', 'Invoice Date: 2026-02-17'],
        ['Item', 'Qty', 'Price', 'Amount'],
        ['Desk', '2', '10.00', '20.00'],
        ['Chair', '1', '5.00', '5.00'],
        ['Total:', 'USD 30.00'],
      ]),
    ],
  });
