import type { Problem } from "../problem";

interface Props {
  problem: Problem;
  /** What failed, where the page alone does not tell. */
  failed?: string;
  /** The fields that show their own errors; those of others are listed here. */
  formFields?: string[];
  onRetry?: () => void;
  retryLabel?: string;
}

export function ProblemAlert(props: Props) {
  const { problem, failed, formFields = [], onRetry, retryLabel = "Try again" } = props;
  const others = Object.entries(problem.fields).filter(([name]) => !formFields.includes(name));
  // Each field at fault says more than "The request is not valid."
  if (Object.keys(problem.fields).length && !others.length) return null;
  return (
    <div role="alert" className="alert">
      <p>
        {failed} {problem.message}
      </p>
      {others.map(([name, messages]) => (
        <p key={name}>
          {name}: {messages.join(" ")}
        </p>
      ))}
      {problem.requestId && (
        <p className="request-id">
          Request id: <code>{problem.requestId}</code>
        </p>
      )}
      {problem.canRetry && onRetry && (
        <button type="button" onClick={onRetry}>
          {retryLabel}
        </button>
      )}
    </div>
  );
}
