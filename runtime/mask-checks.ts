/** Check digits and forms of the numbers that `mask.ts` hides. Pure, each linear in its (short) input. */

const base36 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** GSTIN: state, PAN, entity character, Z, check character mod 36. */
export function isGstin(text: string): boolean {
  const code = text.toUpperCase();
  const state = Number(code.slice(0, 2));
  if (!((state >= 1 && state <= 38) || state === 97 || state === 99)) return false;
  if (!isPan(code.slice(2, 12)) || code[12] === '0' || code[13] !== 'Z') return false;
  let sum = 0;
  for (let index = 0; index < 14; index += 1) {
    const product = base36.indexOf(code[index] ?? '') * (index % 2 === 0 ? 1 : 2);
    sum += Math.floor(product / 36) + (product % 36);
  }
  return base36[(36 - (sum % 36)) % 36] === code[14];
}

/** PAN: the fourth letter says what its holder is; the digits are not 0000. Its check letter's rule is not public. */
export function isPan(text: string): boolean {
  return /^[A-Z]{3}[ABCFGHJKLPT][A-Z](?!0000)[0-9]{4}[A-Z]$/i.test(text);
}

const ibanLengths = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 ' +
    'FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 ' +
    'LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 ' +
    'SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** IBAN of a known country with its right length, mod 97 = 1; spaces allowed. */
export function isIban(text: string): boolean {
  const code = text.replaceAll(' ', '');
  if (ibanLengths.get(code.slice(0, 2)) !== code.length) return false;
  let rest = 0;
  for (const character of code.slice(4) + code.slice(0, 4)) {
    const value = base36.indexOf(character);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

const times = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const turned = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
];

/** Aadhaar: 12 digits from 2 on, Verhoeff, no palindrome. */
export function isAadhaar(digits: string): boolean {
  if (!/^[2-9][0-9]{11}$/.test(digits) || digits === digits.split('').toReversed().join('')) return false;
  let check = 0;
  for (const [index, digit] of digits.split('').toReversed().entries()) {
    const place = Number(turned[index % 8]?.[Number(digit)]);
    check = Number(times[check]?.[place]);
  }
  return check === 0;
}

/** Luhn over 13–19 digits. */
export function isLuhn(digits: string): boolean {
  if (digits.length < 13 || digits.length > 19) return false;
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index]);
    const value = index % 2 === 0 ? digit : digit * 2;
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0;
}

/** Issuer prefixes with the lengths they are issued in. Nothing starts with 0 or 1: epoch milliseconds stay readable. */
const issuers: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|[689])/, [14]],
  [/^(?:6011|64[4-9]|65)/, [16, 19]],
  [/^35(?:2[89]|[3-8])/, [16]],
  [/^(?:60|81|82|508)/, [16]],
  [/^62/, [16, 17, 18, 19]],
];

/** A card number by prefix, length and check digit. */
export function isCard(digits: string): boolean {
  return issuers.some(([prefix, lengths]) => prefix.test(digits) && lengths.includes(digits.length)) && isLuhn(digits);
}
