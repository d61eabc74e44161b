import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch node on 127.0.0.1, its ports picked by the system, its data in the folder named by the only argument.
 *
 * <p>Prints {@code READY http://127.0.0.1:PORT} on stdout once it answers, then stays until SIGTERM or the end of its
 * stdin: a test that dies, by whatever signal, closes the pipe and takes its server with it. The folder is removed on
 * the way out.
 */
public final class Node {
    private Node() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("usage: Node DATA_FOLDER (a new folder; it is removed at the end)");
            System.exit(2);
        }
        Path home = Path.of(args[0]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));

        Settings settings = Settings.builder()
                .put("path.home", home.toString())
                .put("path.data", home.resolve("data").toString())
                .put("path.logs", home.resolve("logs").toString())
                .put("cluster.name", "suiro-tests")
                .put("node.name", "node")
                .put("discovery.type", "single-node")
                .put("network.host", "127.0.0.1")
                // Ranges that begin with 0 mean "any free port".
                .put("http.port", "0")
                .put("transport.port", "0")
                // A developer's disk is often nearly full; the watermark would turn the indices read-only.
                .put("cluster.routing.allocation.disk.threshold_enabled", false)
                .put("node.store.allow_mmap", false)
                .put("processors", 2)
                .build();
        OpenSearchRunnerNode node = new OpenSearchRunnerNode(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "node"),
                List.of(
                        Netty4Plugin.class,
                        CommonAnalysisPlugin.class,
                        MapperExtrasPlugin.class,
                        IngestCommonPlugin.class));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(node, home), "stop"));
        node.start();

        InetSocketAddress http = node.injector()
                .getInstance(HttpServerTransport.class)
                .boundAddress()
                .publishAddress()
                .address();
        System.out.println("READY http://127.0.0.1:" + http.getPort());
        System.out.flush();

        while (System.in.read() != -1) {
            // Whatever is written to us is of no interest; only the end of it is.
        }
        System.exit(0);
    }

    private static void stop(OpenSearchRunnerNode node, Path home) {
        try {
            node.close();
            node.awaitClose(10, TimeUnit.SECONDS);
        } catch (IOException e) {
            System.err.println("closing the node: " + e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        try (Stream<Path> files = Files.walk(home)) {
            files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(java.io.File::delete);
        } catch (IOException e) {
            System.err.println("removing " + home + ": " + e);
        }
    }
}
