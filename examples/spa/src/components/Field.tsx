import { type ComponentProps, useId } from "react";

interface Props extends ComponentProps<"input"> {
  label: string;
  errors?: string[] | undefined;
}

/** A labelled input with its errors; with <option> children, a select. */
export function Field({ label, errors, children, ...attributes }: Props) {
  const id = useId();
  const Control = (children ? "select" : "input") as "input";
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <Control
        id={id}
        aria-invalid={errors ? true : undefined}
        aria-describedby={errors ? `${id}-error` : undefined}
        {...attributes}
      >
        {children}
      </Control>
      {errors && (
        <p id={`${id}-error`} className="field-error">
          {errors.join(" ")}
        </p>
      )}
    </div>
  );
}
