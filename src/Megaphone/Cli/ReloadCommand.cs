using System.Text.Json;

namespace Megaphone.Cli;

/// <summary>Asks the running service for a reload over its operator's socket, and waits for the end, which that service's next image tells.</summary>
internal static class ReloadCommand
{
    /// <summary>Asks.</summary>
    /// <param name="path">The socket.</param>
    /// <param name="message">What the service says, or why it says nothing.</param>
    /// <returns>Whether it was reloaded.</returns>
    public static bool TryRun(string path, out string message)
    {
        if (!OperatorCall.TrySend(path, "POST", "/reload", out int status, out byte[] body, out message)) return false;
        try
        {
            using JsonDocument json = JsonDocument.Parse(body);
            message = json.RootElement.GetProperty("message").GetString()!;
            return json.RootElement.GetProperty("result").GetString() == "done";
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            message = $"the service answered {status}, and nothing that this version understands";
            return false;
        }
    }
}
