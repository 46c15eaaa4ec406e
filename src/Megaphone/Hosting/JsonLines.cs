using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Megaphone.Hosting;

/// <summary>Writes the log as JSON, an object for each line.</summary>
internal sealed class JsonLines() : ConsoleFormatter(FormatterName)
{
    /// <summary>What selects it.</summary>
    public const string FormatterName = "json-lines";

    /// <summary>The template of the message, which is among its values.</summary>
    private const string Template = "{OriginalFormat}";

    /// <summary>No browser reads this: what only they would misread stays readable.</summary>
    private static readonly LogJson Json =
        new(new JsonSerializerOptions(LogJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <inheritdoc/>
    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopes, TextWriter to)
    {
        Dictionary<string, object?> data = [];
        foreach ((string name, object? value) in entry.State as IReadOnlyList<KeyValuePair<string, object?>> ?? [])
        {
            if (name != Template) data[name] = Plain(value);
        }

        LogLine line = new(
            DateTime.UtcNow,
            entry.LogLevel.ToString().ToLowerInvariant(),
            entry.Category,
            entry.EventId.Id,
            entry.Formatter(entry.State, entry.Exception),
            data.Count == 0 ? null : data,
            entry.Exception?.ToString());
        to.WriteLine(JsonSerializer.Serialize(line, Json.LogLine));
    }

    private static object? Plain(object? value) => value switch
    {
        null or string or bool or int or long or ulong or double => value,
        DateTime time => time.ToString("O", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture),
    };
}
