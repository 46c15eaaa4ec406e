using System.Text.Json;
using Megaphone.Handover;
using Megaphone.Values;
using Microsoft.Extensions.Configuration;

namespace Megaphone.Configuration;

/// <summary>
/// Reads a JSON file into configuration keys: <c>{"Ecm": {"Proxy": "v2"}}</c> is <c>Ecm:Proxy</c> = <c>v2</c>. Comments and trailing commas are
/// allowed.
/// </summary>
internal static class SettingsFile
{
    private const string ExampleOption = "for example --config /etc/megaphone/megaphone.json";
    private const string ExampleText = """for example { "Ecm": { "MaxClients": 20000 }, "Hub": false }""";

    /// <summary>Reads the file. One that cannot be read or understood is a problem, and gives no keys.</summary>
    public static Dictionary<string, GivenValue> Read(string path, List<Problem> problems)
    {
        Dictionary<string, GivenValue> settings = new(StringComparer.OrdinalIgnoreCase);
        if (Directory.Exists(path))
        {
            problems.Add(new Problem(path, null, "is a directory", ExampleOption));
            return settings;
        }

        try
        {
            using FileStream stream = File.OpenRead(RehearsedFiles.PathOf(path));
            IConfigurationRoot file = new ConfigurationBuilder().AddJsonStream(stream).Build();
            foreach ((string key, string? text) in file.AsEnumerable())
            {
                // The framework lists the sections above a key, too.
                bool isSection = text is null && file.GetSection(key).GetChildren().Any();
                if (!isSection) settings[key] = new GivenValue(text, path);
            }
        }
        catch (Exception error) when (error is JsonException or FormatException or InvalidDataException)
        {
            problems.Add(Describe(path, error.GetBaseException()));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            problems.Add(new Problem(path, null, "does not exist", ExampleOption));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            problems.Add(new Problem(path, null, $"cannot be read: {error.Message.TrimEnd('.')}", ExampleOption));
        }

        return settings;
    }

    private static Problem Describe(string path, Exception error) => error is JsonException json
        ? new Problem(
            $"{path}, line {json.LineNumber + 1}, column {json.BytePositionInLine + 1}",
            null,
            $"is not JSON: {WithoutPosition(json.Message)}",
            ExampleText)
        : new Problem(path, null, $"must hold one JSON object, with each key once: {WithoutPosition(error.Message)}", ExampleText);

    /// <summary>The parser's message ends with the position, counted from zero; the line says it already, counted from one.</summary>
    private static string WithoutPosition(string message)
    {
        int position = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (position < 0 ? message : message[..position]).TrimEnd('.');
    }
}
