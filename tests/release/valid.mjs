// valid.mjs FILE: whether FILE is CycloneDX 1.6, by its JSON schema in the strict form, which knows no other names. Prints what is wrong.

import { readFileSync } from "node:fs";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";

const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
const problem = await validator.validate(readFileSync(process.argv[2], "utf8"));
if (problem !== null) {
  console.log(problem);
  process.exitCode = 1;
}
