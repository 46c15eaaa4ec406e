namespace Megaphone.Hosting;

/// <summary>A line of the log as JSON.</summary>
/// <param name="Time">When it was written, in UTC.</param>
/// <param name="Level">Its level, as <c>Logging:LogLevel</c> names it, in lower case.</param>
/// <param name="Category">What it is about.</param>
/// <param name="Event">Which line it is, whatever stands in it.</param>
/// <param name="Message">The line for people.</param>
/// <param name="Data">The values in the message, by name; null: there are none.</param>
/// <param name="Error">What was thrown, with its stack; null: nothing.</param>
internal sealed record LogLine(
    DateTime Time, string Level, string Category, int Event, string Message, IReadOnlyDictionary<string, object?>? Data, string? Error);
