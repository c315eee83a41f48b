// SPDX-License-Identifier: GPL-3.0-or-later
/** The audit's rows in the page's own words, from their facts; a row that says something else keeps its own sentence. */
import type { AuditRow } from "../../shared/types";
import { ACCOUNT, DOUBT, RIGHTS, ROLE } from "./keys";
import type { Office } from "./state.svelte";

type Fact = AuditRow["facts"][string];

const number = (fact: Fact | undefined): fact is number => typeof fact === "number";
const text = (fact: Fact | undefined): fact is string => typeof fact === "string" && fact !== "";
const known = <Table extends object>(table: Table, fact: Fact | undefined): fact is keyof Table & string => typeof fact === "string" && fact in table;

/** Return what a row tells, "" where its facts do not say it all. */
export function told(office: Office, row: AuditRow): string {
  const { t } = office;
  const { facts } = row;
  switch (row.what) {
    case "correction":
      return correction(office, row);
    case "account":
      if (!text(facts["name"]) || !known(ACCOUNT, facts["did"])) return "";
      return t(ACCOUNT[facts["did"]], { name: facts["name"], role: known(RIGHTS, facts["role"]) ? t(RIGHTS[facts["role"]].name) : "–" });
    case "key":
      return t("before" in facts ? "audit.key.taken" : "audit.key.first");
    case "quarantine":
      return number(facts["id"]) ? t("audit.quarantine.seen", { id: facts["id"] }) : "";
    case "import": {
      const { new: fresh, duplicates, rejected } = facts;
      if (!number(fresh) || !number(duplicates) || !number(rejected) || "failed" in facts) return "";
      return t("audit.import.done", { n: fresh, known: office.whole(duplicates), rejected: office.whole(rejected) });
    }
    case "recount":
    case "alarm":
      return checked(office, row);
  }
}

/** A correction's own words: the difference, of whom, and why where that was said. */
function correction({ t }: Office, { facts }: AuditRow): string {
  const { group, role, count, reason } = facts;
  if (!number(count)) return "";
  const whom = [group, known(ROLE, role) ? t(ROLE[role]) : ""].filter(text).join(" · ");
  return `${whom}: ${count < 0 ? `−${-count}` : `+${count}`}${text(reason) ? ` (${reason})` : ""}`;
}

/** What the nightly check found, or which doubt arose. */
function checked(office: Office, { what, facts }: AuditRow): string {
  const { facts: all, differences, broken } = facts;
  if (number(all) && number(differences) && number(broken)) {
    if (differences + broken === 0) return office.t("audit.recount.good", { n: all });
    return office.t("audit.recount.bad", { n: differences, broken: office.whole(broken) });
  }
  const kind = facts["kind"] ?? ("said" in facts ? "key" : "");
  return what === "alarm" && known(DOUBT, kind) ? office.t(DOUBT[kind]) : "";
}
