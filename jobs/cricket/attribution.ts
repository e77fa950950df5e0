/** What the licence of the match data asks for wherever they are shown; every row of a table carries it, exports included. */
export const attribution = 'Match data: Cricsheet (cricsheet.org), ODC-BY 1.0';
