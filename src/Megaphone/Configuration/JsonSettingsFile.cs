using System.Text;
using System.Text.Json;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>
/// Flattens a JSON file into configuration keys: <c>{"Ecm": {"Proxy": "v2"}}</c> is <c>Ecm:Proxy</c> = <c>v2</c>.
/// </summary>
/// <remarks>
/// Not the framework's own provider, because what that makes of <c>null</c>, <c>{}</c> and <c>[]</c> differs between
/// versions (an empty section and a null one cannot be told apart in .NET 10), and here they mean different things:
/// <c>"Hub": {}</c> runs a hub, <c>"Admin": null</c> runs no endpoint. Comments and trailing commas are allowed.
/// </remarks>
internal static class JsonSettingsFile
{
    /// <summary>The value of a key whose JSON value is <c>null</c>.</summary>
    public const string Nothing = "";

    /// <summary>The value of a key whose JSON value is an object without members.</summary>
    public const string EmptyObject = "{}";

    /// <summary>The value of a key whose JSON value is an array without elements.</summary>
    public const string EmptyArray = "[]";

    private static readonly JsonDocumentOptions Options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>Reads the file. A file that cannot be read or understood is a problem, and gives no keys.</summary>
    public static Dictionary<string, string?> Read(string path, List<Problem> problems)
    {
        Dictionary<string, string?> keys = new(StringComparer.OrdinalIgnoreCase);
        try
        {
            ReadOnlyMemory<byte> text = File.ReadAllBytes(path);
            if (text.Span.StartsWith(Encoding.UTF8.Preamble)) text = text[Encoding.UTF8.Preamble.Length..];

            using JsonDocument document = JsonDocument.Parse(text, Options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                Flatten(path, "", document.RootElement, keys, problems);
            else
                problems.Add(new Problem(path, null, "does not hold a JSON object", """for example { "Ecm": { }, "Hub": { } }"""));
        }
        catch (JsonException error)
        {
            problems.Add(new Problem(
                $"{path}, line {error.LineNumber + 1}, column {error.BytePositionInLine + 1}",
                null,
                $"is not JSON: {WithoutPosition(error.Message)}",
                """for example { "Ecm": { "MaxClients": 20000 } }"""));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            problems.Add(new Problem(
                path,
                null,
                "does not exist",
                "for example --config /etc/megaphone/megaphone.json"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            problems.Add(new Problem(
                path,
                null,
                $"cannot be read: {error.Message.TrimEnd('.')}",
                "for example --config /etc/megaphone/megaphone.json"));
        }

        return keys;
    }

    private static void Flatten(
        string path,
        string key,
        JsonElement element,
        Dictionary<string, string?> keys,
        List<Problem> problems)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object when element.EnumerateObject().Any():
                foreach (JsonProperty member in element.EnumerateObject())
                    Flatten(path, key.Length == 0 ? member.Name : $"{key}:{member.Name}", member.Value, keys, problems);
                break;
            case JsonValueKind.Array when element.GetArrayLength() > 0:
                int index = 0;
                foreach (JsonElement item in element.EnumerateArray())
                    Flatten(path, $"{key}:{index++}", item, keys, problems);
                break;
            case JsonValueKind.Object when key.Length == 0:
                break;
            default:
                if (!keys.TryAdd(key, Text(element)))
                    problems.Add(new Problem(
                        path,
                        null,
                        $"has the key {key} twice",
                        "keep one of them; upper and lower case do not count"));
                break;
        }
    }

    private static string Text(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Null => Nothing,
        JsonValueKind.Object => EmptyObject,
        JsonValueKind.Array => EmptyArray,
        JsonValueKind.String => element.GetString()!,
        _ => element.GetRawText(),
    };

    /// <summary>
    /// The parser's message ends with the position, counted from zero; the line says it already, counted from one.
    /// </summary>
    private static string WithoutPosition(string message)
    {
        int position = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (position < 0 ? message : message[..position]).TrimEnd('.');
    }
}
