import type { Problem } from "../problem";

interface Props {
  problem: Problem;
  /** The fields that show their own errors; those of others are listed here. */
  formFields?: string[];
  onRetry?: () => void;
}

export function ProblemAlert({ problem, formFields = [], onRetry }: Props) {
  const others = Object.entries(problem.fields).filter(([name]) => !formFields.includes(name));
  return (
    <div role="alert" className="alert">
      <p>{problem.message}</p>
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
          Try again
        </button>
      )}
    </div>
  );
}
