/** More files as the world exports them: several currencies, rows that are no money, and what banks write in other countries. */
import { encodeText } from "../ledger/import/encoding.ts";
import type { ExportFile } from "./export-files.ts";

/** Arguments as a shell would part them; a word in single quotes may have blanks. */
function words(text: string): readonly string[] {
  return [...text.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ""));
}

function table(...lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** No two files share an account, here or with the other list. */
export const WORLD_EXPORT_FILES: readonly ExportFile[] = [
  {
    name: "wallet: several currencies, fees, payments that are not there yet",
    content: encodeText(
      table(
        '\ufeff"Date","Type","Status","Currency","Gross","Fee","Net","Transaction ID","Balance Impact"',
        '"03/02/2026","Website Payment","Completed","CZK","1,249.90","-43.87","1,206.03","W-1","Credit"',
        '"03/02/2026","Website Payment","Completed","USD","88.00","-2.85","85.15","W-2","Credit"',
        '"03/03/2026","Website Payment","Pending","CZK","500.00","0.00","500.00","W-3","Memo"',
        '"03/04/2026","Currency Conversion","Completed","CZK","45.12","0.00","45.12","W-4","Credit"',
        '"03/06/2026","General Withdrawal","Completed","CZK","-1,000.00","0.00","-1,000.00","W-5","Debit"',
      ),
      "utf-8",
    ),
    options: words(
      "--column 'id=Transaction ID' --column date=Date --date-format MM/DD/YYYY --value account=wallet-1 --column operation=Type --column amount=Net --only Currency=CZK --without 'Balance Impact=Memo'",
    ),
    rows: 3,
    balances: { "wallet-1": 25_115 },
    says: /Not among them: id, date, account, direction, operation, amount_minor/,
    notes: "2 rows are passed over (--only, --without)",
  },
  {
    name: "shop: several rows an order, of which one has the total",
    content: encodeText(
      table(
        "Name,Financial Status,Currency,Total,Created at,Lineitem name,Notes",
        '#2003,paid,CZK,1129.90,2026-03-04 10:20:28 +0100,Table,"ring\nsecond floor"',
        "#2003,,,,2026-03-04 10:20:28 +0100,Cloth,",
        "#2002,pending,CZK,80.00,2026-03-02 00:30:00 +0100,Bowl,",
        '#2001,paid,CZK,20.40,2026-03-01 08:59:58 +0100,"Plate, ""blue""",',
      ),
      "utf-8",
    ),
    options: words(
      "--column id=Name --column 'date=Created at' --date-format 'YYYY-MM-DD HH:mm:ss ZZ' --value account=shop-2 --value direction=credit --value operation=sale --column amount=Total --only 'Financial Status=paid' --sort date",
    ),
    rows: 2,
    balances: { "shop-2": 115_030 },
    notes: "2 rows are passed over (--only, --without)",
  },
  {
    name: "app bank: payments that were taken back, fees by themselves in a second run",
    content: encodeText(
      table(
        "Type,Started Date,Completed Date,Description,Amount,Fee,Currency,State",
        "TOPUP,2026-03-01 08:00:01,2026-03-01 08:00:05,Top-Up,500.00,0.00,CZK,COMPLETED",
        "CARD_PAYMENT,2026-03-01 18:00:00,2026-03-02 03:00:01,Fuel,-60.00,0.00,CZK,REVERTED",
        "ATM,2026-03-02 10:00:00,2026-03-02 10:00:02,Cash,-200.00,2.00,CZK,COMPLETED",
        "CARD_PAYMENT,2026-03-04 09:00:00,,Hotel,-150.00,0.00,CZK,PENDING",
      ),
      "utf-8",
    ),
    options: words(
      "--column 'date=Completed Date' --date-format 'YYYY-MM-DD HH:mm:ss' --value account=app-3 --column operation=Type --column amount=Amount --only State=COMPLETED --id-from 'Started Date' --id-from Description --id-from Amount",
    ),
    rows: 2,
    balances: { "app-3": 30_000 },
    notes: "2 rows are passed over (--only, --without)",
  },
  {
    name: "Japanese card: Shift_JIS, wide digits, triangles, charges without a sign",
    content: encodeText(
      table(
        "ご利用日,ご利用店名,ご利用金額",
        '2026/03/01,お支払い,"▲20,000"',
        '2026/03/02,スーパー見本,"12,345"',
        "2026/03/03,ガソリン例,４，２００",
        '2026/03/07,返品,"▲1,000"',
        '2026/03/09,書店,"￥1,500"',
      ),
      "shift_jis",
    ),
    options: words(
      "--encoding shift_jis --column date=ご利用日 --date-format YYYY/MM/DD --value account=jp-4 --value asset=CZK --column operation=ご利用店名 --column amount=ご利用金額 --positive debit --id-from ご利用日 --id-from ご利用店名 --source jp",
    ),
    rows: 5,
    balances: { "jp-4": 295_500 },
    says: /^line 1 is not utf-8: .*shift_jis/,
  },
  {
    name: "Czech bank: cp1250, the currency in words, spaces of two kinds, slashes in account numbers",
    content: encodeText(
      table(
        "Výpis z účtu;123456789/0800",
        "Období;1.3.2026 - 31.3.2026",
        "",
        "Datum zaúčtování;Částka;Měna;Protiúčet;Typ transakce;ID transakce",
        "02.03.2026;25 000,00 Kč;CZK;19-2000145399/0100;Příchozí platba;CZ26-1",
        "03.03.2026;-1\u00a0499,50 Kč;CZK;2000778899/2010;Platba kartou;CZ26-2",
        "06.03.2026;- 45,90 Kč;CZK;;Poplatek;CZ26-3",
      ),
      "windows-1250",
    ),
    options: words(
      "--encoding cp1250 --skip-lines 3 --column 'date=Datum zaúčtování' --date-format DD.MM.YYYY --value account=cz-5 --column 'id=ID transakce' --column 'operation=Typ transakce' --column amount=Částka --decimal-comma --keep protiucet=Protiúčet",
    ),
    rows: 3,
    balances: { "cz-5": 2_345_460 },
  },
  {
    name: "Indian bank: padded columns, lakhs, Dr and Cr beside the amount",
    content: encodeText(
      table(
        "Date      ,Narration        ,Ref No   ,Amount          ",
        '02-Mar-26 ,SALARY           ,N0612345 ,"  2,50,000.00 Cr"',
        '03-Mar-26 ,UPI/4455/GROCER  ,U0700001 ,"     1,234.56 Dr"',
        '05-Mar-26 ,RENT             ,U0700002 ,"  1,12,000.00Dr"',
      ),
      "utf-8",
    ),
    options: words(
      "--column date=Date --date-format DD-MMM-YY --column 'id=Ref No' --value account=in-6 --column operation=Narration --column amount=Amount --direction credit=Cr --direction debit=Dr",
    ),
    rows: 3,
    balances: { "in-6": 13_676_544 },
    says: /columns "Date", "Narration", "Ref No", "Amount", separated by ","/,
  },
  {
    name: "American credit union: lines above, two columns, rows that end with a separator, newest first",
    content: encodeText(
      table(
        "Account Name : Share Draft",
        "Date Range : 03/01/26-03/31/26",
        "Transaction Number,Date,Description,Amount Debit,Amount Credit,Balance,Fees",
        '"20260331[-8:PST]*12.50",3/31/26,"POS SAMPLE, INC",-12.50,,1487.50,,',
        '"20260315[-8:PST]*500.00",3/15/26,PAYROLL,,500.00,1500.00,,',
        '"20260301[-8:PST]*1000.00",3/1/26,DEPOSIT,,"$1,000.00",1000.00,,',
      ),
      "utf-8",
    ),
    options: words(
      "--skip-lines 2 --column date=Date --date-format M/D/YY --column 'id=Transaction Number' --value account=cu-7 --value asset=CZK --column operation=Description --column 'debit=Amount Debit' --column 'credit=Amount Credit' --sort date",
    ),
    rows: 3,
    balances: { "cu-7": 148_750 },
    says: /Line 3 looks more like a header \(7 columns\): --skip-lines 2/,
  },
  {
    name: "database: tabs, NULL markers, parts of seconds that may be absent",
    content: encodeText(
      table(
        "id\tcreated_at\taccount\tin\tout\tkind\tmemo",
        "9001\t2026-03-02 08:00:00.123456+00\tdb-8\t120.00\t\\N\tdeposit\t\\N",
        "9002\t2026-03-02 08:00:01.5+00\tdb-8\t75.25\t\\N\tdeposit\tfirst",
        "9003\t2026-03-03 09:10:11+00\tdb-8\t\\N\t20.05\twithdraw\t\\N",
      ),
      "utf-8",
    ),
    options: words(
      "--column date=created_at --date-format 'YYYY-MM-DD HH:mm:ss.SSSZZ' --column operation=kind --column credit=in --column debit=out --keep memo=memo --null '\\N'",
    ),
    rows: 3,
    balances: { "db-8": 17_520 },
  },
];
