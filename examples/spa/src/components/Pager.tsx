import type { UserPage } from "../client";
import { changeQueryString } from "../queryString";

const SIZES = [10, 25, 50, 100];

export function Pager({ page }: { page: UserPage | undefined }) {
  const limit = page?.limit ?? 10;
  const offset = page?.offset ?? 0;
  // From past the end, the previous page is the last one.
  const previous = Math.max(0, Math.min(offset, page?.count ?? 0) - limit);
  // The address bar can ask for any size.
  const sizes = SIZES.includes(limit) ? SIZES : [limit, ...SIZES];

  return (
    <nav aria-label="Pages" className="pager">
      <label>
        Rows per page{" "}
        <select
          value={limit}
          onChange={(event) => changeQueryString({ limit: event.target.value, offset: "" })}
        >
          {sizes.map((size) => (
            <option key={size}>{size}</option>
          ))}
        </select>
      </label>
      <output>{page && position(page)}</output>
      <div className="buttons">
        <PageButton label="Previous" to={page?.previous ? previous : null} />
        <PageButton label="Next" to={page?.next ? offset + limit : null} />
      </div>
    </nav>
  );
}

function PageButton({ label, to }: { label: string; to: number | null }) {
  const go = () => to !== null && changeQueryString({ offset: to ? String(to) : "" });
  return (
    // Not `disabled` at the last page: that would take the focus away.
    <button type="button" aria-disabled={to === null} onClick={go}>
      {label}
    </button>
  );
}

function position({ offset, count, results }: UserPage): string {
  if (!results.length) return count ? `Past the last of ${count}` : "0 of 0";
  return `${offset + 1}–${offset + results.length} of ${count}`;
}
