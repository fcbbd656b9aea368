import { describe, expect, test } from "@jest/globals";
import { isScramVerifier } from "../core/scram-verifier.ts";
import { scramVerifier, verifierMatches } from "./scram.ts";

const SALT = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");

describe("a SCRAM-SHA-256 verifier", () => {
  test("is the one of RFC 7677's example exchange", () => {
    // RFC 7677 section 3: password "pencil", this salt, 4096 rounds. The server signature there,
    // 6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=, is the HMAC of the exchange under this ServerKey.
    expect(scramVerifier("pencil", SALT)).toBe(
      "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    );
  });

  test("is recognised by its form", () => {
    expect(isScramVerifier(scramVerifier("pencil", SALT))).toBe(true);
    for (const text of ["", "pencil", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$4096:x$y:z"]) {
      expect(isScramVerifier(text)).toBe(false);
    }
  });

  test("matches its password only", () => {
    const verifier = scramVerifier("pencil", SALT);
    expect(verifierMatches(verifier, "pencil")).toBe(true);
    expect(verifierMatches(verifier, "pencils")).toBe(false);
    expect(verifierMatches("nonsense", "pencil")).toBe(false);
  });

  test.each(["", "with space", "naïve", "tab\t"])("password %j is refused", (password) => {
    expect(() => scramVerifier(password, SALT)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
