import { type ComponentProps, useId } from "react";

interface Props extends ComponentProps<"input"> {
  label: string;
  /** Part of the description, not of the name. */
  hint?: string;
  errors?: string[] | undefined;
}

/** A labelled input with its errors; with <option> children, a select. */
export function Field({ label, hint, errors, children, ...attributes }: Props) {
  const id = useId();
  const descriptions = [errors && `${id}-error`, hint && `${id}-hint`].filter(Boolean);
  const Control = (children ? "select" : "input") as "input";
  return (
    <div className="field">
      <div className="label">
        <label htmlFor={id}>{label}</label> {hint && <span id={`${id}-hint`}>{hint}</span>}
      </div>
      <Control
        id={id}
        aria-invalid={errors ? true : undefined}
        aria-describedby={descriptions.join(" ") || undefined}
        {...attributes}
      >
        {children}
      </Control>
      {errors && (
        // An alert, for who has the focus in the field already: nobody reads its description again.
        <p id={`${id}-error`} role="alert" className="field-error">
          {errors.join(" ")}
        </p>
      )}
    </div>
  );
}
