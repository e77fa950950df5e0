/** The development region of the ICC that a country belongs to; the filter `region` of rankings. */

export const regions = ['africa', 'americas', 'asia', 'east-asia-pacific', 'europe', 'other'] as const;
export type Region = (typeof regions)[number];

const countries: Readonly<Record<Exclude<Region, 'other'>, string>> = {
  africa:
    'botswana cameroon eswatini gambia ghana ivory-coast kenya lesotho malawi mali mozambique namibia nigeria rwanda seychelles sierra-leone south-africa st-helena tanzania uganda zambia zimbabwe',
  americas:
    'argentina bahamas barbados belize bermuda brazil canada cayman-islands chile costa-rica falkland-islands guyana jamaica mexico panama peru suriname turks-and-caicos-islands united-states-of-america west-indies',
  asia: 'afghanistan bahrain bangladesh bhutan cambodia china hong-kong india iran kuwait malaysia maldives mongolia myanmar nepal oman pakistan qatar saudi-arabia singapore sri-lanka tajikistan thailand timor-leste united-arab-emirates uzbekistan',
  'east-asia-pacific':
    'australia cook-islands fiji indonesia japan new-zealand papua-new-guinea philippines samoa south-korea vanuatu',
  europe:
    'austria belgium bulgaria croatia cyprus czechia denmark england estonia finland france germany gibraltar greece guernsey hungary ireland isle-of-man israel italy jersey luxembourg malta netherlands norway portugal romania scotland serbia slovenia spain sweden switzerland turkiye ukraine',
};

const regionOfCountry = new Map<string, Region>(
  Object.entries(countries).flatMap(([region, ids]) =>
    ids.split(' ').map((id): [string, Region] => [id, regions.find((one) => one === region) ?? 'other']),
  ),
);

/** By the id of `teamOf`; `other` for clubs, invitation sides and countries that are not listed. */
export function regionOf(teamId: string): Region {
  return regionOfCountry.get(teamId) ?? 'other';
}
