using System.Text.Json;
using Megaphone.Operator;

namespace Megaphone.Cli;

/// <summary>A command that asks the running service for something, or gives it an order, over its operator's socket.</summary>
/// <param name="Name">As it is written.</param>
/// <param name="Method">The method of the HTTP request.</param>
/// <param name="Path">The path of the HTTP request.</param>
/// <param name="Words">The parameters that stand alone, in their order.</param>
/// <param name="Options">The parameters that have a name.</param>
/// <param name="Write">The answer's body for people.</param>
internal sealed record OperatorCommand(
    string Name, string Method, string Path, IReadOnlyList<string> Words, IReadOnlyList<string> Options, Func<byte[], string> Write)
{
    /// <summary>The option that every one of them has: the answer as it came, for scripts.</summary>
    public const string Json = "--json";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<OperatorCommand> All { get; } =
    [
        new("status", "GET", "/status.json", [], [], json => StatusText.Write(JsonSerializer.Deserialize(json, OperatorJson.Default.StatusReport)!)),
        new("clients", "GET", "/clients", [], ["address", "limit"],
            json => ClientsText.Write(JsonSerializer.Deserialize(json, OperatorJson.Default.ClientsReport)!)),
        new("kick", "POST", "/kick", ["id"], ["address"], Message),
        new("drain", "POST", "/drain", [], ["over", "server"], Message),
        new("undrain", "POST", "/undrain", [], [], Message),
        new("loglevel", "POST", "/loglevel", ["category", "level"], [], Message),
        new("config", "GET", "/config", [], [],
            json => ConfigurationText.Write(JsonSerializer.Deserialize(json, OperatorJson.Default.ConfigurationReport)!)),
    ];

    /// <summary>The one with a name; null: there is none.</summary>
    public static OperatorCommand? Find(string name) => All.FirstOrDefault(command => command.Name == name);

    /// <summary>Asks, and prints the answer.</summary>
    /// <param name="socket">The operator's socket.</param>
    /// <param name="parameters">By name.</param>
    /// <param name="asJson">Whether the answer is printed as it came.</param>
    /// <param name="answer">The answer, or what is wrong.</param>
    /// <returns>The exit status: <see cref="ExitStatus.Ok"/> with an answer.</returns>
    public int Run(string socket, IReadOnlyDictionary<string, string> parameters, bool asJson, out string answer)
    {
        string query = string.Join('&', parameters.Select(one => $"{one.Key}={Uri.EscapeDataString(one.Value)}"));
        string target = query.Length == 0 ? Path : $"{Path}?{query}";
        if (!OperatorCall.TrySend(socket, Method, target, out int status, out byte[] body, out answer)) return ExitStatus.Failed;
        try
        {
            answer = status == OperatorCall.Ok && asJson ? System.Text.Encoding.UTF8.GetString(body) + "\n"
                : status == OperatorCall.Ok ? Write(body)
                : JsonSerializer.Deserialize(body, OperatorJson.Default.Answer)!.Message;
        }
        catch (JsonException)
        {
            answer = $"the service answered {status}, and nothing that this version understands";
            return ExitStatus.Failed;
        }

        return status switch { OperatorCall.Ok => ExitStatus.Ok, OperatorCall.BadRequest => ExitStatus.Usage, _ => ExitStatus.Failed };
    }

    private static string Message(byte[] json) => JsonSerializer.Deserialize(json, OperatorJson.Default.Answer)!.Message + "\n";
}
