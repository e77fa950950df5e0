/** The words that name a field on invoices and receipts, in English, German, Dutch, French and Polish. */

/** Stands for the whole, tax included. */
export const grandTotal =
  /grand total|total\s+(?:amount\s+)?(?:payable|due)|nett?\s+total|total\s+rounded|rounde?d?\.?\s*:?\w?\s*total|total\b.{0,24}\bincl|total for this invoice|invoice total|factuur\s*totaal|gesamtbetrag|gesamtsumme|rechnungsbetrag|bruttobetrag|totaal\s+incl|te\s+betalen|total\s+ttc|należność|do\s+zapłaty/iu;
/** May be the whole, or the foot of some column. */
export const anyTotal = /^\W*(?:total|totaal|gesamt|summe|razem|total\s+amount|montant total)\b/iu;
export const noTotal =
  /qty|quantity|\bitems?\b|excl|discount|saving|loading|includes|supplies|change|points|sub\s*-?\s*total|subtotaal|rounding|due\s+date/iu;
/** A total that is one of tax alone. */
export const taxTotal = /\b(?:gst|vat|tax|btw|mwst|ust)\b/iu;
export const inclusive = /incl/iu;
/** Below it stand the taxes by rate once more. */
export const taxSummary = /(?:gst|tax|vat|btw)\s*summary|tax\s*code|gst\s*code/iu;

export const amountDue = /amount\s+due|balance\s+due|\bdue\s*:|total\s+due|zahlbetrag|te\s+betalen|do\s+zapłaty/iu;
export const netExplicit =
  /^(?!.*supplies).*?(?:total\b.{0,16}\bexcl|excl(?:usief|uding|\.)?\s+(?:btw|gst|vat|tax)|net\s+amount|nettobetrag|total\s+ht|taxable\s+(?:amount|value)|untaxed)/iu;
export const subtotal = /sub\s*-?\s*tot\s*al|subtotaal|zwischensumme|sous-total/iu;
export const tax = /\b(?:gst|vat|btw|mwst|ust|tax|tva|iva|cgst|sgst|igst)\b/iu;
export const noTax =
  /\b(?:id|reg|no|nr|number|nummer|invoice|code|summary|charges?|supplies)\b|excl|incl?\b|incl|total sales|kvk|\d{6}|gstin/iu;
export const cash = /^\W*(?:cash|cash\s+tendered|tendered|paid|bar|contant)\b/iu;
export const change = /\b(?:change|wisselgeld|rückgeld)\b/iu;

const numberWord = String.raw`(?:no\b|nr\b|num(?:ber|mer)?\b|id\b|#)`;
export const invoiceNumber = new RegExp(
  String.raw`(?:invoice|inv|factuur|rechnungs?|faktura|facture|bill|receipt|doc(?:ument)?)\s*-?\s*${numberWord}\s*[.:#]*`,
  'iu',
);
/** Names a number only as a whole cell, or before a colon. */
export const bareInvoice = /^(?:invoice|inv|factuur|rechnung|faktura|facture)\s*[.:#]*$|^#$/iu;
/** What a document that is no invoice calls its number. */
export const otherNumber = new RegExp(String.raw`(?:booking|reference|order|ref)\s*${numberWord}\s*[.:#]*`, 'iu');

export const invoiceDate =
  /(?:invoice|issue|bill|biz|doc(?:ument)?)\s*-?\s*date|rechnungsdatum|factuur\s*datum|data wystawienia|date\s*\/\s*time/iu;
export const anyDate = /\b(?:date|datum|dated|data)\b/iu;
export const otherDate = /due|verval|order|deliver|check|fällig|print|expir|termin|period/iu;
export const dueDate = /due\s*date|date\s+due|vervaldatum|fällig|termin\s+płatności/iu;
export const clock = /^\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[ap]m)?$/iu;

export const companyForm =
  /\b(?:sdn\.?\s*bhd|pvt\.?\s*ltd|private\s+limited|limited|ltd|llc|inc|gmbh|sp\.?\s*z\s*o\.?\s*o)\b\.?|\b(?:BHD|PLC|AG|KG|SARL|SRL)\b|\b(?:B\.V\.|N\.V\.|S\.A\.|S\.r\.l\.)/iu;
/** `(81109-A)`, `002043319-W`, `(139386 X)`. */
export const registration = /^\(?\s*(?:co\.?\s*reg\.?\s*(?:no)?\.?:?\s*)?\d{5,12}\s*-?\s*[A-Z]\s*\)?\W*$/u;
export const buyer =
  /\b(?:bill|billed|invoice|ship|sold|deliver)\s*to\b|attn|customer|\bklant|factuuradres|afleveradres|nabywca|kunde|empfänger|t\.a\.v/iu;
/** Before a tax number: it is not the seller's. */
export const buyersTaxId = /\b(?:your|uw|ihre|buyer|recipient|consignee|customer|bill(?:ed)?\s+to)\b/iu;
export const noName =
  /invoice|receipt|factuur|rechnung|faktura|bill\b|tel\b|fax\b|phone|date\b|gst\b|www\.|http|@|\bno\b\s*[.:]|jalan\b|street|road|^\W*\d|page\b|licensee|formerly|thank|welcome|address/iu;
export const contact =
  /\b(?:tel|fax|phone|gst|tax|reg|e-?mail|www|invoice|receipt|cashier|date|doc|bill)\b|\d{2}:\d{2}/iu;

export const itemColumn =
  /^(?:description|desc|item|artikel|omschrijving|qty|quantity|aantal|hoeveelheid|u\.?price|s\/price|price|prijs|rate|amount|bedrag|total|totaal|unit|code|menge|preis|betrag|bezeichnung|nazwa|ilość|wartość)\b/iu;
export const hsnColumn = /^\W*HSN\b/iu;
