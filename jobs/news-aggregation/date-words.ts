/** Months and weekdays as feeds write them: English, Portuguese, Spanish, French, German, Italian, Dutch. */

const months = [
  'january janeiro enero janvier januar jänner gennaio januari',
  'february fevereiro febrero février februar febbraio februari',
  'march março marzo mars märz maart mrt mrz',
  'april abril avril aprile',
  'may maio mayo mai maggio mei',
  'june junho junio juin juni giugno',
  'july julho julio juillet juli luglio',
  'august agosto août augustus',
  'september setembro septiembre setiembre septembre settembre',
  'october outubro octubre octobre oktober ottobre',
  'november novembro noviembre novembre',
  'december dezembro diciembre décembre dezember dicembre',
].map(words);

const weekdays = [
  'sunday domingo dimanche sonntag domenica zondag',
  'monday segunda lunes lundi montag lunedì maandag',
  'tuesday terça martes mardi dienstag martedì dinsdag',
  'wednesday quarta miércoles mercredi mittwoch mercoledì woensdag',
  'thursday quinta jueves jeudi donnerstag giovedì donderdag',
  'friday sexta viernes vendredi freitag venerdì vrijdag',
  'saturday sábado samedi samstag sonnabend sabato zaterdag',
].map(words);

function words(line: string): string[] {
  return line.split(' ').map(plain);
}

/** Without case, accents and the dot of an abbreviation; "segunda-feira" ends before its dash. */
function plain(word: string): string {
  return word
    .normalize('NFD')
    .replaceAll(/[\p{M}.]/gu, '')
    .toLowerCase();
}

/** 1–12 for a name or its first three letters or more; undefined for what is none. */
export function monthOf(word: string): number | undefined {
  const sought = plain(word);
  if (sought.length < 3) return undefined;
  const at = months.findIndex((names) => names.some((name) => name.startsWith(sought)));
  return at < 0 ? undefined : at + 1;
}

/** 0 (Sunday) to 6: every weekday that is written so; "ma" is Monday in Dutch and Tuesday in French. Empty: no weekday. */
export function weekdaysOf(word: string): number[] {
  const sought = plain(word);
  if (sought.length < 2) return [];
  return weekdays.flatMap((names, at) => (names.some((name) => name.startsWith(sought)) ? [at] : []));
}
