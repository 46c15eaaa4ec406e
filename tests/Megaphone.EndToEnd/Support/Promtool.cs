namespace Megaphone.EndToEnd.Support;

/// <summary>Prometheus's own tool, where <c>tests/promtool.sh</c> puts it.</summary>
internal static class Promtool
{
    /// <summary>Runs it.</summary>
    /// <param name="arguments">Its arguments; files are relative to the folder.</param>
    /// <param name="folder">The folder that it runs in; null: any.</param>
    /// <param name="input">What it reads from standard input.</param>
    /// <returns>Its exit status, and what it printed.</returns>
    /// <exception cref="FileNotFoundException">It is missing: the tests fail, because skipping them would look like passing.</exception>
    public static async Task<(int Status, string Said)> RunAsync(string[] arguments, string? folder = null, string input = "")
    {
        string path = Path.Combine(Repository.Root, "artifacts/promtool");
        if (!File.Exists(path)) throw new FileNotFoundException($"{path} is missing: run tests/promtool.sh.");
        using ChildProcess promtool = ChildProcess.Start([path, .. arguments], folder);
        foreach (string line in input.Split('\n', StringSplitOptions.RemoveEmptyEntries)) await promtool.WriteLineAsync(line);
        promtool.CloseInput();
        int status = await promtool.EndAsync();
        return (status, promtool.Said);
    }
}
