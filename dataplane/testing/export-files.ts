/** Small files as banks, card companies and shops export them, with the options that read them and what must come out. */
import { encodeText } from "../ledger/import/encoding.ts";

export interface ExportFile {
  readonly name: string;
  readonly content: Uint8Array;
  /** Arguments of `shieldx ledger import` besides file and ledger. */
  readonly options: readonly string[];
  readonly rows: number;
  /** Balance in minor units by account. */
  readonly balances: Readonly<Record<string, number>>;
  /** What an import without any option must say before anything is posted; none where the file needs no option. */
  readonly says?: RegExp;
  /** What is said on the way; nothing when absent. */
  readonly notes?: string;
}

const lines = (end: string, ...all: readonly string[]): string => all.map((line) => `${line}${end}`).join("");

/** No two files share an account, so that one ledger can take them all. */
export const EXPORT_FILES: readonly ExportFile[] = [
  {
    name: "German current account: cp1252, lines above, semicolons, decimal commas, a total below",
    content: encodeText(
      lines(
        "\r\n",
        '"Girokonto";"DE-1001"',
        '"Zeitraum:";"01.03.2026 - 31.03.2026"',
        "",
        '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Betrag";"Waehrung"',
        '"DE-1001";"02.03.26";"02.03.2026";"GUTSCHRIFT";"Gehalt März";"2.500,00";"CZK"',
        '"DE-1001";"05.03.26";"05.03.2026";"LASTSCHRIFT";"Strom, Abschlag 3/12";"-84,50";"CZK"',
        '"DE-1001";"07.03.26";"09.03.2026";"KARTENZAHLUNG";"Bäckerei ""Zum Löwen""";"-7,35";"CZK"',
        '"DE-1001";"07.03.26";"09.03.2026";"KARTENZAHLUNG";"Bäckerei ""Zum Löwen""";"-7,35";"CZK"',
        '"";"";"";"Saldo";"";"2.400,80";"CZK"',
      ),
      "windows-1252",
    ),
    options: [
      ..."--encoding windows-1252 --skip-lines 3 --skip-last 1 --date-format DD.MM.YYYY --decimal-comma".split(" "),
      ..."--column account=Auftragskonto --column date=Valutadatum --column amount=Betrag".split(" "),
      ..."--column operation=Buchungstext --keep text=Verwendungszweck".split(" "),
      ..."--id-from Valutadatum --id-from Betrag --id-from Verwendungszweck".split(" "),
    ],
    rows: 4,
    balances: { "DE-1001": 240_080 },
    says: /^line 5 is not utf-8: the bytes e4 .*--encoding windows-1252/,
  },
  {
    name: "spreadsheet: byte order mark, semicolons, decimal commas, empty rows",
    content: encodeText(
      lines(
        "\r\n",
        "\ufeffid;date;account;direction;operation;amount_minor;partner_bank;partner_account",
        "X2-1;02.03.2026;xl-1;credit;cash-deposit;1.500,00;;",
        "X2-2;03.03.2026;xl-1;debit;cash-withdrawal;250,00;;",
        "X2-3;04.03.2026;xl-2;credit;transfer-in;99,90;QR;70000001",
        ";;;;;;;",
        ";;;;;;;",
      ),
      "utf-8",
    ),
    options: "--date-format DD.MM.YYYY --decimal-comma --column amount=amount_minor".split(" "),
    rows: 3,
    balances: { "xl-1": 125_000, "xl-2": 9_990 },
    says: /line 2: date "02.03.2026" is not YYYY-MM-DD \(--date-format .* DD.MM.YYYY\); amount_minor "1.500,00" is not .*--column amount="amount_minor"/,
  },
  {
    name: "Dutch bank: everything quoted, Af and Bij, dates without separators",
    content: encodeText(
      lines(
        "\n",
        '"Datum","Rekening","Af Bij","Bedrag (EUR)","Mutatiesoort","Mededelingen"',
        '"20260302","NL-3001","Bij","1250,00","Overschrijving","Salaris, maart"',
        '"20260303","NL-3001","Af","23,45","Betaalautomaat",""',
        '"20260304","NL-3001","Af","1.084,99","Incasso","Huur"',
      ),
      "utf-8",
    ),
    options: [
      ..."--date-format YYYYMMDD --decimal-comma --direction credit=Bij --direction debit=Af".split(" "),
      ..."--column date=Datum --column account=Rekening --column operation=Mutatiesoort".split(" "),
      ...[
        "--column",
        "direction=Af Bij",
        "--column",
        "amount=Bedrag (EUR)",
        "--id-from",
        "Datum",
        "--id-from",
        "Bedrag (EUR)",
      ],
      ..."--id-from Mededelingen --keep text=Mededelingen".split(" "),
    ],
    rows: 3,
    balances: { "NL-3001": 14_156 },
    says: /^the header in line 1 has the columns "Datum", "Rekening", .*Not among them: id, date, account, .*--column date=Datum --column account=Rekening --column operation=Mutatiesoort --column amount="Bedrag \(EUR\)"/,
  },
  {
    name: "American card: newest first, parentheses, dollars, a total below",
    content: encodeText(
      lines(
        "\r\n",
        "Reference,Date,Card,Description,Amount",
        'X4-4,03/31/2026,card-4001,"Online Store, Anytown",($64.20)',
        "X4-3,03/20/2026,card-4001,Fuel,($41.00)",
        'X4-2,03/11/2026,card-4001,Payment received,"$1,234.56"',
        'Total,,,,"$1,129.36"',
      ),
      "utf-8",
    ),
    options: [
      ..."--date-format MM/DD/YYYY --skip-last 1 --sort date --column id=Reference --column date=Date".split(" "),
      ..."--column account=Card --column operation=Description --column amount=Amount --value asset=CZK".split(" "),
    ],
    rows: 3,
    balances: { "card-4001": 112_936 },
    says: /Not among them: id, date, account, direction, operation, amount_minor/,
  },
  {
    name: "strict RFC 4180 in the ledger's own form: line breaks and quotes within fields",
    content: encodeText(
      lines(
        "\r\n",
        "id,date,account,direction,operation,amount_minor,note",
        'M5-1,2026-03-02,rfc-1,credit,"gift, from ""Aunt"" Ann",150000,"line\nM5-9,2026-03-02,rfc-1,credit,x,99999,"',
        "M5-2,2026-03-03,rfc-1,debit,a\u2028b,2500,x",
      ),
      "utf-8",
    ),
    options: [],
    rows: 2,
    balances: { "rfc-1": 147_500 },
  },
  {
    name: "Hungarian bank: UTF-16, tabs, spaces within amounts",
    content: encodeText(
      lines(
        "\r\n",
        "\ufeffAzonosító\tDátum\tSzámla\tTípus\tÖsszeg",
        "X6-1\t2026.03.02\tHU-6001\tátutalás\t1 250 000",
        "X6-2\t2026.03.03\tHU-6001\tkártyás vásárlás\t-262\u00a0259",
      ),
      "utf-16le",
    ),
    options: [
      ..."--date-format YYYY.MM.DD --column id=Azonosító --column date=Dátum --column account=Számla".split(" "),
      ..."--column operation=Típus --column amount=Összeg".split(" "),
    ],
    rows: 2,
    balances: { "HU-6001": 98_774_100 },
    says: /columns "Azonosító", "Dátum", "Számla", "Típus", "Összeg", separated by tabs/,
  },
  {
    name: "British bank: paid in and paid out in two columns, no ids, one account",
    content: encodeText(
      lines(
        "\r\n",
        "Date,Type,Description,Paid out,Paid in,Balance",
        "02 Mar 2026,FPI,SALARY,,£2100.00,£2100.00",
        "03 Mar 2026,DEB,GROCER,£54.10,,£2045.90",
        '04 Mar 2026,DD,"COUNCIL TAX, MARCH",£130.00,,£1915.90',
      ),
      "utf-8",
    ),
    options: [
      ..."--value account=GB-7001 --value asset=CZK --column date=Date --column operation=Type --keep text=Description".split(
        " ",
      ),
      ...["--date-format", "DD MMM YYYY", "--column", "credit=Paid in", "--column", "debit=Paid out"],
      ..."--id-from Date --id-from Description --id-from Balance".split(" "),
    ],
    rows: 3,
    balances: { "GB-7001": 191_590 },
    says: /--id-from makes ids of columns; --value account=\.\.\. is one account for all rows/,
  },
  {
    name: "payment provider: times in UTC, newest first, fees in a column of their own",
    content: encodeText(
      lines(
        "\n",
        "id,Created (UTC),Amount,Fee,Net,Currency,Description",
        "ch_3,2026-03-02 18:40:01,-19.90,0.00,-19.90,czk,Refund of order 17",
        "ch_2,2026-03-02 14:05:10,45.00,-1.60,43.40,czk,Order 18",
        "ch_1,2026-03-02 09:00:59,19.90,-0.80,19.10,czk,Order 17",
      ),
      "utf-8",
    ),
    options: [
      ..."--value account=shop-8001 --value operation=charge --column amount=Net --keep text=Description".split(" "),
      ...["--column", "date=Created (UTC)", "--date-format", "YYYY-MM-DD HH:mm:ss", "--sort", "date"],
    ],
    rows: 3,
    balances: { "shop-8001": 4_260 },
    says: /Not among them: date, account, direction, operation, amount_minor\. .*--column date="Created \(UTC\)"/,
  },
  {
    name: "shop: times with a zone, notes with line breaks, sales only",
    content: encodeText(
      lines(
        "\n",
        "Name,Created at,Total,Notes,Payment Method",
        '#1001,2026-03-02 09:15:00 +0100,120.00,"Ring twice\nor leave it",Card',
        "#1002,2026-03-02 11:30:00 +0100,75.50,,Cash",
      ),
      "utf-8",
    ),
    options: [
      ..."--column id=Name --value account=shop-9001 --value direction=credit --column amount=Total --keep note=Notes".split(
        " ",
      ),
      ...[
        "--column",
        "date=Created at",
        "--date-format",
        "YYYY-MM-DD HH:mm:ss ZZ",
        "--column",
        "operation=Payment Method",
      ],
    ],
    rows: 2,
    balances: { "shop-9001": 19_550 },
    says: /columns "Name", "Created at", "Total", "Notes", "Payment Method"/,
  },
  {
    name: "Polish accounting system: cp1250, bars, minus behind the amount",
    content: encodeText(
      lines(
        "\r\n",
        "Nr|Data|Konto|Treść|Kwota",
        "PL/1|02.03.2026|PL-1100|Wpływ środków|3 000,00",
        "PL/2|03.03.2026|PL-1100|Opłata|12,50-",
        "PL/3|04.03.2026|PL-1100|Przelew|1 487,25-",
      ),
      "windows-1250",
    ),
    options: [
      ..."--encoding cp1250 --date-format DD.MM.YYYY --decimal-comma --column id=Nr --column date=Data".split(" "),
      ..."--column account=Konto --column operation=Treść --column amount=Kwota".split(" "),
    ],
    rows: 3,
    balances: { "PL-1100": 150_025 },
    says: /^line 1 is not utf-8/,
  },
  {
    name: "Swiss bank: debits with a minus in a column of their own, apostrophes, lines above and below, newest first",
    content: encodeText(
      lines(
        "\n",
        "Kontonummer:;CH-1201",
        "Bewertet in:;CHF",
        "",
        "Datum;Buchungsnummer;Text;Belastung;Gutschrift;Saldo",
        "2026-03-05;902;Miete;-1'850.00;;4'399.50",
        "2026-03-02;901;Lohn;;6'249.50;6'249.50",
        ";;Schlusssaldo;;;4'399.50",
      ),
      "utf-8",
    ),
    options: [
      ..."--skip-lines 3 --skip-last 1 --sort date --value account=CH-1201 --column date=Datum".split(" "),
      ..."--column id=Buchungsnummer --column operation=Text --column debit=Belastung --column credit=Gutschrift".split(
        " ",
      ),
      ..."--source ch".split(" "),
    ],
    rows: 2,
    balances: { "CH-1201": 439_950 },
    says: /Line 4 looks more like a header \(6 columns\): --skip-lines 3/,
  },
];
