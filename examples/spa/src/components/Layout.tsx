import type { ReactNode } from "react";

interface Props {
  title: string;
  /** What stands beside the product name. */
  header?: ReactNode;
  narrow?: boolean;
  children: ReactNode;
}

export function Layout({ title, header, narrow, children }: Props) {
  return (
    <>
      <title>{`${title} · Slipway`}</title>
      <a className="skip-link" href="#content">
        Skip to content
      </a>
      <header className="page-header">
        <a className="product" href="/">
          <img src="/favicon.svg" alt="" width="32" height="32" />
          Slipway
        </a>
        {header}
      </header>
      <main id="content" tabIndex={-1} className={narrow ? "narrow" : undefined}>
        {/* Takes the focus when the screen changes. */}
        <h1 id="title" tabIndex={-1}>
          {title}
        </h1>
        {children}
      </main>
    </>
  );
}
